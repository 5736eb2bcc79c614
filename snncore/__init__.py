"""The science of Spikesmith: a job spec goes in, a stream of typed events comes out.

Importing the package is cheap and needs no torch, so that a service can use `snncore.spec` and
`snncore.presets` without it. `train` pulls torch in on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snncore.training import train

__all__ = ["train"]


def __getattr__(name: str) -> Any:
    if name == "train":
        from snncore.training import train

        return train
    raise AttributeError(f"module 'snncore' has no attribute {name!r}")
