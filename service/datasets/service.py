"""What can be done with datasets, between the routes and the store."""

from __future__ import annotations

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from service.datasets import builtin
from service.datasets.examination import examine
from service.datasets.reception import Upload
from service.datasets.schemas import ClassView, DatasetView
from service.paging import Page, encode
from service.problems import Problem
from service.settings import Settings
from service.store import datasets
from service.store.datasets import NewDataset, Outcome
from service.store.engine import Database
from service.store.ids import is_id
from service.store.tables import Dataset
from snncore.spec import ArrayContents, Contents, EventContents, ImageContents, Uploaded, split_sizes

_UPLOADED = TypeAdapter(Uploaded)


def put(database: Database, settings: Settings, name: str, upload: Upload) -> tuple[DatasetView, Outcome]:
    """Examine an upload and store it under its name."""
    demand_free(name)
    examined = examine(upload.file, upload.sha256, settings.max_dataset_bytes)
    new = NewDataset(
        name=name,
        sha256=upload.sha256,
        size=upload.size,
        contents=examined.contents.model_dump(mode="json"),
        classes=examined.classes,
    )
    stored, outcome = datasets.store(database, new, upload.file)
    return view_of(stored), outcome


def demand_free(name: str) -> None:
    """409 if the name belongs to a dataset that is built in."""
    if name in builtin.KINDS or name == "uploaded":
        detail = f"{name!r} is the name of a dataset that is built in; take another name."
        raise Problem(409, "name_taken", detail)


def show(session: Session, name: str) -> DatasetView:
    if name in builtin.KINDS:
        return builtin.view_of(name)
    return view_of(datasets.get(session, name))


def page(session: Session, after: str | None, limit: int) -> Page[DatasetView]:
    """Those that are built in, and then the uploaded ones, newest first."""
    kinds = list(builtin.KINDS)
    if after in kinds:
        kinds = kinds[kinds.index(after) + 1 :]
    elif after is not None and is_id(after, "dts"):
        kinds = []
    keys_and_views = [(kind, builtin.view_of(kind)) for kind in kinds[: limit + 1]]
    if (room := limit + 1 - len(keys_and_views)) > 0:
        before = after if after is not None and is_id(after, "dts") else None
        found = datasets.list_datasets(session, before=before, limit=room)
        keys_and_views += [(dataset.id, view_of(dataset)) for dataset in found]
    items = [view for _, view in keys_and_views[:limit]]
    more = encode("d", keys_and_views[limit - 1][0]) if len(keys_and_views) > limit else None
    return Page(items=items, next_cursor=more)


def view_of(dataset: Dataset) -> DatasetView:
    part = _UPLOADED.validate_python({"kind": "uploaded", "name": dataset.name, "contents": dataset.contents})
    contents = part.contents
    return DatasetView(
        name=part.name,
        kind="uploaded",
        state="uploaded",
        description=_described(contents.n_samples, contents.n_test, contents.n_classes),
        format=contents.format,
        shape=_shape(contents),
        n_samples=contents.n_samples,
        n_classes=contents.n_classes,
        classes=None if dataset.classes is None else [ClassView.model_validate(one) for one in dataset.classes],
        sizes=split_sizes(part),
        size_bytes=dataset.size,
        sha256=dataset.sha256,
        created_at=dataset.created_at,
        spec={"kind": "uploaded", "name": part.name},
    )


def _shape(contents: Contents) -> list[int] | None:
    match contents:
        case ArrayContents():
            return contents.shape
        case EventContents():
            return [contents.n_addresses]
        case ImageContents():
            one_size = contents.smallest == contents.largest
            return [*contents.largest, contents.channels] if one_size else None


def _described(n_samples: int, n_test: int, n_classes: int | None) -> str:
    of_classes = "without classes" if n_classes is None else f"of {n_classes} classes"
    test = f", {n_test} of them a test set" if n_test else ""
    return f"{n_samples} uploaded samples {of_classes}{test}."


def remove(database: Database, name: str) -> None:
    """Delete an uploaded dataset."""
    if name in builtin.KINDS:
        raise Problem(409, "built_in", f"{name!r} is built in and cannot be removed.")
    with database.write() as session:
        datasets.remove(session, name)
