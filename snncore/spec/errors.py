"""What is wrong with a spec, said in terms of the fields that the writer of the spec sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pydantic_core import ErrorDetails, PydanticCustomError

Location: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend: where it is in the document, what to do, and a stable type."""

    loc: Location
    msg: str
    type: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.loc)) or 'spec'}: {self.msg}"


class SpecError(ValueError):
    """A spec that cannot be run, with every problem that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


def inconsistent(problems: list[Problem]) -> PydanticCustomError:
    """Carry the problems of cross-field rules through pydantic; `problems_of` unfolds them again."""
    return PydanticCustomError("inconsistent", "the parts of the spec do not fit together", {"problems": problems})


def problems_of(errors: Iterable[ErrorDetails], document: object) -> list[Problem]:
    """The problems behind pydantic's errors about `document`, located by the keys that stand in the document.

    Pydantic puts the tag of each union into its locations; whoever wrote the document never sees those.
    """
    return list(_unfold(errors, document))


def _unfold(errors: Iterable[ErrorDetails], document: object) -> Iterator[Problem]:
    for error in errors:
        loc = _visible(error["loc"], document)
        context = error.get("ctx", {})
        if error["type"] == "inconsistent":
            for problem in context["problems"]:
                yield Problem((*loc, *problem.loc), problem.msg, problem.type)
        elif error["type"] in ("union_tag_invalid", "union_tag_not_found") and "discriminator" in context:
            key = str(context["discriminator"]).strip("'")
            expected = context.get("expected_tags")
            msg = f"must be one of {expected}" if expected else "says which one is meant, and is missing"
            yield Problem((*loc, key), msg, error["type"])
        elif error["type"] == "extra_forbidden":
            yield Problem(
                loc, "is not a field here; remove it, or check its spelling and the kind it belongs to", error["type"]
            )
        else:
            yield Problem(loc, error["msg"], error["type"])


def _visible(loc: Location, document: object) -> Location:
    """`loc` without the union tags: only steps that lead into the document, and a last one that is missing there."""
    visible: list[str | int] = []
    node = document
    for position, step in enumerate(loc):
        child = _child(node, step)
        if child is not _ABSENT:
            node = child
        elif position < len(loc) - 1 or not isinstance(node, Mapping):
            continue
        visible.append(step)
    return tuple(visible)


_ABSENT = object()


def _child(node: object, step: str | int) -> object:
    if isinstance(node, Mapping):
        return node.get(step, _ABSENT)
    if isinstance(node, list) and isinstance(step, int) and step < len(node):
        return node[step]
    return _ABSENT
