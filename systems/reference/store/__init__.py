"""A segmented log on `Files`: what a node must remember, on a real or a faulty disk."""
