"""MNIST (LeCun, Cortes and Burges)."""

from __future__ import annotations

from snncore import spec
from snncore.datasets import idx
from snncore.datasets.samples import Splits

MNIST = idx.Published(
    title="MNIST",
    folders=("mnist", "."),
    source="https://ossci-datasets.s3.amazonaws.com/mnist/",
    archive_md5={
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    content_md5={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
)


def load(dataset: spec.MNIST, seed: int) -> Splits:
    """The validation set is the end of the training set; pixels stay bytes until a batch needs them."""
    return idx.load(MNIST, dataset, seed)
