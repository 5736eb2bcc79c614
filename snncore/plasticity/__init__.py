"""Networks that learn by their spikes alone, in compiled kernels."""
