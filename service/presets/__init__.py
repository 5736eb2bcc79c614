"""The experiments of the literature, and the schema of specs."""
