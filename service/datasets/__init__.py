"""Datasets: what there is, and uploads."""
