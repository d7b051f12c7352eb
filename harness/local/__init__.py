"""What cluster `local` is made of: addresses, processes, the relay between them, the way to it."""
