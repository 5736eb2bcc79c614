"""Training runs: a spec in, events out."""

from snncore.training.run import train

__all__ = ["train"]
