"""The training side of Spikesmith: claims jobs, runs each in a trainer process, records what it yields."""
