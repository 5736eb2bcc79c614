"""Where images lie in a folder or an archive: `CLASS/FILE`, or `train/CLASS/FILE` and `test/CLASS/FILE`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LITTER = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
"""What systems leave behind in folders, besides hidden files."""


@dataclass(frozen=True, slots=True)
class ClassFolders:
    """Files with the numbers of their classes, which are those of the sorted names."""

    classes: list[str]
    train: list[tuple[str, int]]
    """All of them, where no test set lies apart."""
    test: list[tuple[str, int]]
    misplaced: list[str]
    """Files that lie elsewhere."""


def class_folders(names: Iterable[str]) -> ClassFolders:
    """Sort file names, steps separated by `/`. Folders that everything lies in say nothing and are passed over."""
    paths = {name: steps for name in sorted(names) if not _is_litter(steps := name.split("/"))}
    outer = 0
    while paths and all(len(steps) > outer + 2 for steps in paths.values()) and _shared(paths.values(), outer):
        outer += 1
    apart = {steps[outer] for steps in paths.values()} == {"train", "test"}
    depth = 3 if apart else 2
    placed = {name: steps[outer:] for name, steps in paths.items() if len(steps) == outer + depth}
    classes = sorted({steps[-2] for steps in placed.values()})
    numbers = {name: number for number, name in enumerate(classes)}
    members = [(name, numbers[steps[-2]], apart and steps[0] == "test") for name, steps in placed.items()]
    return ClassFolders(
        classes,
        train=[(name, number) for name, number, is_test in members if not is_test],
        test=[(name, number) for name, number, is_test in members if is_test],
        misplaced=[name for name in paths if name not in placed],
    )


def _is_litter(steps: list[str]) -> bool:
    return any(step.startswith(".") or step in LITTER for step in steps)


def _shared(paths: Iterable[list[str]], depth: int) -> bool:
    return len({steps[depth] for steps in paths}) == 1
