"""Jobs that train on an uploaded dataset: what is in it is filled in from what was found in the upload."""

from __future__ import annotations

from typing import Any

from service.jobs.embedding import at
from service.problems import FieldProblem, printable
from service.store import datasets
from service.store.engine import Database
from service.store.errors import DatasetNotFound
from snncore.spec import deep_merge

NAME = ("dataset", "name")
CONTENTS = ("dataset", "contents")


def fill_in(document: dict[str, Any], database: Database) -> tuple[dict[str, Any], list[FieldProblem]]:
    """`document` with the contents of the uploaded dataset that it names, and what is wrong with naming that one."""
    name = at(document, NAME)
    if at(document, ("dataset", "kind")) != "uploaded" or not isinstance(name, str):
        return document, []
    try:
        with database.read() as session:
            contents = datasets.get(session, name).contents
    except DatasetNotFound:
        return document, [_unknown(name, database)]
    problems = []
    given = at(document, CONTENTS)
    if given is not None and given != contents:
        msg = f"is not what was uploaded as {name!r}; leave it out, the service fills it in"
        problems.append(FieldProblem(loc=list(CONTENTS), msg=msg, type="other_contents"))
    without = deep_merge(document, {"dataset": {"contents": None}})
    return deep_merge(without, {"dataset": {"contents": contents}}), problems


def _unknown(name: str, database: Database) -> FieldProblem:
    with database.read() as session:
        names = datasets.names(session)
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    there = f"there are {shown}" if names else "none was"
    msg = f"no dataset {printable(name)!r} has been uploaded; {there}: PUT /v1/datasets/{{name}} uploads one"
    return FieldProblem(loc=list(NAME), msg=msg, type="unknown_dataset")


def gone() -> FieldProblem:
    """A dataset that was removed between the reading of a submission and its queueing."""
    return FieldProblem(loc=list(NAME), msg="was removed just now; upload it again", type="unknown_dataset")
