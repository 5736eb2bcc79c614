"""The HTTP side of Spikesmith: jobs in, results out. Never imports torch."""
