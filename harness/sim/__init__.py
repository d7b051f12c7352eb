"""The simulator: virtual time, tasks, network and disks on one heap, a function of the seed."""
