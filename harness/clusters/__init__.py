"""Where nodes live: one file per kind of cluster, one interface."""
