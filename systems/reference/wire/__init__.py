"""Bytes between nodes and clients, and of patches on the disk: msgpack, typed, a decoder a kind."""
