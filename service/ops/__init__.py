"""Is it alive, is it ready, who is training, and the figures for a monitor."""
