"""Jobs: submitted, listed, asked to stop, watched."""
