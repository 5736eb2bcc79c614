"""What is wrong with an upload, said in terms of the arrays and files in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from service.problems import FieldProblem, Problem, printable

SHOWN = 20
"""Faults that are told at once; a folder of broken images has thousands of the same."""


def unfit(where: str, msg: str, kind: str = "invalid_data") -> Problem:
    """422: one array or file of the upload has to change."""
    return refused([fault(where, msg, kind)])


def fault(where: str, msg: str, kind: str = "invalid_data") -> FieldProblem:
    return FieldProblem(loc=["body", printable(where, 200)] if where else ["body"], msg=msg, type=kind)


def refused(faults: list[FieldProblem]) -> Problem:
    """422 with the arrays and files that have to change."""
    shown = "; ".join(f"{'.'.join(map(str, one.loc[1:])) or 'the file'}: {one.msg}" for one in faults[:5])
    more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
    return Problem(422, "invalid_dataset", shown + more, errors=faults[:SHOWN])


@contextmanager
def collected() -> Iterator[list[FieldProblem]]:
    """Gather faults and refuse them together."""
    faults: list[FieldProblem] = []
    yield faults
    if faults:
        raise refused(faults)
