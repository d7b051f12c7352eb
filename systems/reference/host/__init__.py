"""Where cores meet the world: one driver, run by the asyncio host and by the simulator's adapter."""
