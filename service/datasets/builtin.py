"""The datasets that need no upload: one for each kind of the job spec."""

from __future__ import annotations

import inspect
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from service.datasets.schemas import DatasetView
from snncore.datasets.places import cache_folder, data_folders
from snncore.spec import Dataset, Uploaded, image_shape, n_classes, n_features, split_sizes
from snncore.spec.data_files import DATA_FILES

_ADAPTER: TypeAdapter[Any] = TypeAdapter(Dataset)
KINDS: dict[str, type] = {
    get_args(model.model_fields["kind"].annotation)[0]: model
    for model in get_args(get_args(Dataset)[0])
    if model is not Uploaded
}
"""The models of the spec by the name of their kind."""


def view_of(kind: str) -> DatasetView:
    """What there is to say about a kind of dataset on this machine."""
    example = {"kind": kind}
    try:
        dataset = _ADAPTER.validate_python(example)
    except ValidationError:
        dataset = None  # it has no size before a spec has said more about it
    sizes = None if dataset is None else split_sizes(dataset)
    return DatasetView(
        name=kind,
        kind=kind,
        state="available" if _is_here(kind) else "downloadable",
        description=" ".join((inspect.getdoc(KINDS[kind]) or "").split("\n\n")[0].split()),
        format=None,
        shape=None if dataset is None else list(image_shape(dataset) or [n_features(dataset)]),
        n_samples=None if sizes is None else sum(sizes.values()),
        n_classes=None if dataset is None else n_classes(dataset),
        classes=None,
        sizes=sizes,
        size_bytes=None,
        sha256=None,
        created_at=None,
        spec=example if dataset is None else dataset.model_dump(mode="json"),
    )


def _is_here(kind: str) -> bool:
    """Whether all files that the kind needs lie on this machine. Workers on others may differ."""
    needed = DATA_FILES.get(kind)
    if needed is None:
        return True
    folders = [root / place for root in (*data_folders(), cache_folder()) for place in needed.folders]
    return all(
        any((folder / f"{name}{ending}").exists() for folder in folders for ending in ("", ".gz"))
        for name in needed.names
    )
