"""From the jobs of a service to the groups of runs that may be averaged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from statistics import fmean, stdev
from typing import Any

from service.cli.reproduction.differences import Differences, differences, leaves, resolved, value_at
from service.cli.reproduction.holdings import Holdings
from service.client import Job
from snncore.presets.tables import Metric, Row, Table

WALL_TIME = "cost.wall_time_s"


@dataclass(frozen=True, slots=True)
class Run:
    """One job that succeeded."""

    job: Job
    result: dict[str, Any]

    @property
    def seed(self) -> int:
        return int(self.job.spec.get("seed", 0))

    def number(self, path: str) -> float | None:
        """What stands at a dotted path of the result, if it is a number."""
        value = value_at(self.result, path)
        return float(value) if isinstance(value, int | float) else None


@dataclass(slots=True)
class Group:
    """Runs of the same settings, one a seed."""

    runs: list[Run] = field(default_factory=list)

    def numbers(self, path: str) -> list[float]:
        """One a run; none at all unless every run has it."""
        found = [number for run in self.runs if (number := run.number(path)) is not None]
        return found if len(found) == len(self.runs) else []

    def mean(self, path: str) -> float | None:
        return fmean(numbers) if (numbers := self.numbers(path)) else None

    def sd(self, path: str) -> float | None:
        """Of the sample; None for a single run."""
        return stdev(numbers) if len(numbers := self.numbers(path)) > 1 else None


@dataclass(slots=True)
class Line:
    """What was run for a row at one setting: with the source's preset and with the improved one."""

    differences: Differences
    ours: Group = field(default_factory=Group)
    improved: Group = field(default_factory=Group)

    @property
    def groups(self) -> tuple[Group, Group]:
        return self.ours, self.improved

    def ceiling(self, metric: Metric) -> float | None:
        """What the runs measured."""
        if metric.ceiling is None:
            return None
        measured = [group.mean(metric.ceiling) for group in self.groups]
        return next((value for value in measured if value is not None), None)


@dataclass(slots=True)
class FilledRow:
    """A row with what was run for it: first as the presets say, then a line for each other setting."""

    row: Row
    lines: list[Line]
    has_best: bool
    """Whether the service knows the improved preset."""
    improvements: Differences
    """What the improved preset changes, if it was run."""


@dataclass(slots=True)
class FilledTable:
    table: Table
    rows: list[FilledRow]


def collect(holdings: Holdings, tables: Iterable[Table]) -> list[FilledTable]:
    """The tables with the jobs that succeeded. Jobs of different settings are never put into one group. Those of a
    variant stand with its preset, unless the variant has rows of its own."""
    tables = list(tables)
    named = {row.preset for table in tables for row in table.rows}
    return [
        FilledTable(table, [_fill(holdings, row, _telling_paths(table, row), named) for row in table.rows])
        for table in tables
    ]


def _telling_paths(table: Table, row: Row) -> set[str]:
    """The settings that tell the rows of one preset apart."""
    return {path for other in table.rows if other.preset == row.preset for path, _ in leaves(other.overrides)}


def _fill(holdings: Holdings, row: Row, telling: set[str], named: set[str]) -> FilledRow:
    lines: dict[Differences, Line] = {(): Line(())}
    for preset, improved in ((row.preset, False), (row.best, True)):
        wanted = None if preset is None else holdings.spec_of(preset, row.overrides)
        if preset is None or wanted is None:
            continue
        for job in holdings.jobs_of(preset):
            elsewhere = job.preset != preset and job.preset in named
            if elsewhere or job.state != "succeeded" or not _same_at(telling, wanted, resolved(job.spec)):
                continue
            found = holdings.differences(job, preset, wanted)
            line = lines.setdefault(found, Line(found))
            group = line.improved if improved else line.ours
            run = Run(job, holdings.result(job))
            if run.seed not in (other.seed for other in group.runs):  # the newest of a seed; jobs come newest first
                group.runs.append(run)
    for line in lines.values():
        for group in line.groups:
            group.runs.sort(key=lambda run: run.seed)
    improved = any(line.improved.runs for line in lines.values())
    return FilledRow(
        row,
        list(lines.values()),
        has_best=row.best in holdings.presets,
        improvements=_improvements(holdings, row) if improved else (),
    )


def _improvements(holdings: Holdings, row: Row) -> Differences:
    original, improved = (holdings.spec_of(name, row.overrides) for name in (row.preset, row.best or ""))
    return differences(original or {}, improved or {})


def _same_at(paths: set[str], wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return all(value_at(wanted, path) == value_at(found, path) for path in paths)


def as_json(filled: Iterable[FilledTable]) -> list[dict[str, Any]]:
    """The tables as plain data, a group of runs at a time."""
    return [
        {
            "table": table.table.id,
            "title": table.table.title,
            "source": table.table.source,
            "rows": [_row_as_json(table.table, row) for row in table.rows],
        }
        for table in filled
    ]


def _row_as_json(table: Table, filled: FilledRow) -> dict[str, Any]:
    row = filled.row
    return {
        "label": row.label,
        "preset": row.preset,
        "best": row.best,
        table.compared_with: dict(row.published),
        "ceiling": dict(row.ceiling),
        "improvements": [asdict(one) for one in filled.improvements],
        "lines": [
            {
                "differences": [asdict(one) for one in line.differences],
                "measured_ceiling": {metric.name: line.ceiling(metric) for metric in table.metrics if metric.ceiling},
                "ours": _group_as_json(table, line.ours),
                "improved": _group_as_json(table, line.improved),
            }
            for line in filled.lines
        ],
    }


def _group_as_json(table: Table, group: Group) -> dict[str, Any] | None:
    if not group.runs:
        return None
    return {
        "metrics": {
            metric.name: {
                "mean": group.mean(metric.value),
                "sd": group.sd(metric.value),
                "values": group.numbers(metric.value),
            }
            for metric in table.metrics
        },
        "seeds": [run.seed for run in group.runs],
        "jobs": [run.job.id for run in group.runs],
        "wall_time_s": group.mean(WALL_TIME),
    }
