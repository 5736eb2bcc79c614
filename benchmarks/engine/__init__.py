"""Our scan engines against other libraries for spiking networks, on the same four workloads."""
