"""Recorded spikes, in whatever form a reader wants them."""
