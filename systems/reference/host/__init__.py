"""Where cores meet the world: one driver, for the asyncio host and the simulator's adapter."""
