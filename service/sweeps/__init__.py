"""Sweeps: a job for each point of a grid and each seed, submitted, watched, stopped and summed up together."""
