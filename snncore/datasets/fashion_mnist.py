"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017)."""

from __future__ import annotations

from snncore import spec
from snncore.datasets import idx
from snncore.datasets.samples import Splits

FASHION_MNIST = idx.Published(
    title="Fashion-MNIST",
    folders=("fashion_mnist",),  # the files have the names of MNIST's, which may lie beside
    source="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    archive_md5={
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    },
)


def load(dataset: spec.FashionMNIST, seed: int) -> Splits:
    """The validation set is the end of the training set; pixels stay bytes until a batch needs them."""
    return idx.load(FASHION_MNIST, dataset, seed)
