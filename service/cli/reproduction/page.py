"""The filled tables as a Markdown page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from service.cli.output import duration
from service.cli.reproduction.collect import WALL_TIME, FilledRow, FilledTable, Group, Line
from service.cli.reproduction.differences import Differences
from snncore.presets.tables import Metric, Table

NO_ENVIRONMENT = ("seed",)
"""What a result's environment holds that tells runs apart rather than places."""

HEAD = """\
# Reproduction

<!-- Written by `spikesmith reproduce`. What is to be said about a table goes into reproduction_notes/, not here. -->

Written by `spikesmith reproduce` from the jobs that a running service holds. `spikesmith reproduce --run --seeds 3`
first submits what is missing, and `--quick` takes the variants of a few minutes.

- *Ours* are runs of the preset as it stands, which is what the source says; *improved* are those of our own `best/`
  preset.
- Numbers are means over seeds ± the standard deviation of the sample, of the test split. Only runs of the same settings
  are averaged. Runs at other settings have a line of their own, marked by a letter in brackets: see
  [Settings that differ](#settings-that-differ).
- A *ceiling* is what an ideal observer of the same input reaches, measured by the jobs themselves; one in brackets was
  not.
- *Wall time* depends on what a job ran on, which is listed under [Environment](#environment).
"""


class Marks:
    """A letter for each set of differences, in the order in which they are met."""

    def __init__(self) -> None:
        self._letters: dict[Differences, str] = {}

    def of(self, differences: Differences) -> str:
        return self._letters.setdefault(differences, letters(len(self._letters)))

    def items(self) -> Iterable[tuple[str, Differences]]:
        return ((letter, differences) for differences, letter in self._letters.items())


def letters(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def render(filled: Sequence[FilledTable], notes: Mapping[str, str]) -> str:
    """The whole page. `notes` are texts that go below a table, by its id."""
    marks = Marks()
    sections = [HEAD, "\n".join(_environment(filled))]
    for table in filled:
        lines = [
            f"## {title_of(table.table)}",
            "",
            f"{table.table.source}. {_metrics(table.table)}",
            "",
            *_table(table, marks),
        ]
        sections.append("\n".join(lines) + "\n")
        if note := notes.get(table.table.id, "").strip():
            sections.append(f"{note}\n")
    sections.append("\n".join(_settings(marks)) + "\n")
    if improvements := list(_improvements(filled)):
        sections.append("\n".join(improvements) + "\n")
    sections.append("\n".join(_job_ids(filled, marks)) + "\n")
    return "\n".join(sections)


def title_of(table: Table) -> str:
    """`Table 4.2: Softmax of ...`; what is no table of the source goes by its title."""
    return f"Table {table.id}: {table.title}" if table.id[0].isdigit() else table.title


def _metrics(table: Table) -> str:
    """`Accuracy.`, `Loss (Hz²) and accuracy.`"""
    names = [f"{metric.title} ({metric.unit})" if metric.unit else metric.title for metric in table.metrics]
    text = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return f"{text[0].upper()}{text[1:]}."


def _environment(filled: Sequence[FilledTable]) -> Iterator[str]:
    counts: dict[str, tuple[dict[str, Any], int]] = {}
    for _, _, group in groups_of(filled):
        for run in group.runs:
            environment = run.result.get("environment") or {}
            place = {name: value for name, value in environment.items() if name not in NO_ENVIRONMENT}
            key = json.dumps(place, sort_keys=True)
            counts[key] = (place, counts.get(key, (place, 0))[1] + 1)
    yield "## Environment\n"
    if not counts:
        yield "No job of these tables has succeeded yet.\n"
        return
    names = list(dict.fromkeys(name for place, _ in counts.values() for name in place))
    yield from markdown(
        ["jobs", *(name.replace("_", " ") for name in names)],
        [[str(n), *(str(place.get(name, "")) for name in names)] for place, n in counts.values()],
        right=1,
    )
    yield ""


def _table(filled: FilledTable, marks: Marks) -> list[str]:
    table = filled.table
    improved = any(row.row.best for row in filled.rows)
    columns = [(metric, _columns_of(filled, metric, improved)) for metric in table.metrics]
    head = [table.head]
    for metric, names in columns:
        prefix = f"{metric.title}: " if len(columns) > 1 else ""
        head += [prefix + (table.compared_with if name == "published" else name) for name in names]
    head += ["seeds", "wall time a job"]
    head += ["improved: seeds", "improved: wall time a job"] if improved else []
    rows = []
    for row in filled.rows:
        for line in row.lines:
            cells = [row.row.label if not line.differences else f"{row.row.label} ({marks.of(line.differences)})"]
            for metric, names in columns:
                cells += [_cell(row, line, metric, name) for name in names]
            for group in line.groups if improved else line.groups[:1]:
                cells += [str(len(group.runs)) if group.runs else "", _wall_time(group)]
            rows.append([*cells, f"`{row.row.preset}`"])
    return list(markdown([*head, "preset"], rows, left=1, right=len(head) - 1))


def _columns_of(filled: FilledTable, metric: Metric, improved: bool) -> list[str]:
    """Which columns of a metric hold anything."""
    rows = filled.rows
    columns = ["published"] if any(metric.name in row.row.published for row in rows) else []
    if any(metric.name in row.row.ceiling or line.ceiling(metric) is not None for row in rows for line in row.lines):
        columns.append("ceiling")
    return [*columns, "ours", *(["improved"] if improved else [])]


def _cell(row: FilledRow, line: Line, metric: Metric, column: str) -> str:
    as_stated = not line.differences
    match column:
        case "published":
            return _number(row.row.published.get(metric.name), metric) if as_stated else ""
        case "ceiling":
            measured = line.ceiling(metric)
            stated = row.row.ceiling.get(metric.name) if as_stated else None
            return _number(measured, metric) or (f"({_number(stated, metric)})" if stated is not None else "")
        case "ours":
            return _spread(line.ours, metric) or ("not run" if as_stated else "")
        case _:
            return _spread(line.improved, metric) or ("not run" if as_stated and row.has_best else "")


def _number(value: float | None, metric: Metric) -> str:
    return "" if value is None else f"{value:.{metric.digits}f}"


def _spread(group: Group, metric: Metric) -> str:
    """`0.942 ± 0.006`, a number alone for a single run, nothing without runs."""
    if not group.runs:
        return ""
    mean, sd = group.mean(metric.value), group.sd(metric.value)
    if mean is None:
        return "not measured"
    return _number(mean, metric) if sd is None else f"{_number(mean, metric)} ± {_number(sd, metric)}"


def _wall_time(group: Group) -> str:
    seconds = group.mean(WALL_TIME)
    return "" if seconds is None else duration(seconds)


def _settings(marks: Marks) -> Iterator[str]:
    yield "## Settings that differ\n"
    rows = [row for letter, differences in marks.items() for row in _setting_rows(f"({letter})", differences)]
    if rows:
        yield from markdown(["", "setting", "of the preset", "of these runs"], rows)
    else:
        yield "All runs are those of the presets as they stand."


def _improvements(filled: Sequence[FilledTable]) -> Iterator[str]:
    """What the improved presets change, those that change the same in one."""
    presets: dict[Differences, list[str]] = {}
    for table in filled:
        for row in table.rows:
            if row.improvements and row.row.best is not None:
                presets.setdefault(row.improvements, []).append(f"`{row.row.best}`")
    if presets:
        yield "## What the improved presets change\n"
        rows = [row for changes, names in presets.items() for row in _setting_rows(", ".join(names), changes)]
        yield from markdown(["", "setting", "of the source", "improved"], rows)


def _setting_rows(name: str, differences: Differences) -> Iterator[list[str]]:
    """A row for each difference; the name stands in the first."""
    for index, one in enumerate(differences):
        values = [f"`{text}`" if text else "absent" for text in (one.wanted, one.found)]
        yield [name if index == 0 else "", f"`{one.path}`", *values]


def _job_ids(filled: Sequence[FilledTable], marks: Marks) -> Iterator[str]:
    yield "<!-- The jobs behind the numbers, each with its seed."
    for table, line_name, group in groups_of(filled, marks):
        jobs = ", ".join(f"{run.job.id} ({run.seed})" for run in group.runs)
        yield f"{table.id}, {line_name}: {jobs}"
    yield "-->"


def groups_of(filled: Sequence[FilledTable], marks: Marks | None = None) -> Iterator[tuple[Table, str, Group]]:
    """Every group that has runs, with its table and a name for people."""
    for table in filled:
        for row in table.rows:
            for line in row.lines:
                mark = f" ({marks.of(line.differences)})" if marks is not None and line.differences else ""
                for group, kind in zip(line.groups, ("ours", "improved"), strict=True):
                    if group.runs:
                        yield table.table, f"{row.row.label}{mark}, {kind}", group


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 0, right: int = 0) -> Iterator[str]:
    """A Markdown table. Of its columns, `right` ones behind the first `left` are numbers, which stand to the right."""
    rules = ["---:" if left <= index < left + right else "---" for index in range(len(head))]
    for cells in (head, rules, *rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
