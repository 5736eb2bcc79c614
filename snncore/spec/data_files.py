"""The files that datasets need and that Spikesmith can fetch."""

from __future__ import annotations

DATA_FILES: dict[str, tuple[str, ...]] = {
    "mnist": (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ),
}
"""By the kind of dataset, which is also the folder that they lie in; each may end in `.gz`. Other kinds need none."""
