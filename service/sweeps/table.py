"""The final metrics of a sweep: mean, spread and confidence of each at each grid point."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from scipy.special import stdtrit
from sqlalchemy.orm import Session

from service.store import sweeps
from service.store.sweeps import Member, Tally
from service.store.tables import Sweep
from service.store.types import finite
from service.sweeps.schemas import Statistic, Table, TableRow

CONFIDENCE = 0.95


def table_of(session: Session, sweep: Sweep) -> Table:
    """The table as it stands: jobs that are still to succeed are counted, and come in when they have."""
    tally = sweeps.tallies(session, [sweep.id])[sweep.id]
    members = [member for member in sweeps.members(session, sweep.id) if member.role == "point"]
    finals = {job_id: final_metrics(result) for job_id, result in sweeps.results(session, sweep.id).items()}
    by_position: dict[int, list[Member]] = {}
    for member in members:
        by_position.setdefault(member.position, []).append(member)
    metrics = list(dict.fromkeys(name for final in finals.values() for name in final))
    return Table(
        sweep=sweep.id,
        state=tally.state,
        keys=list(dict.fromkeys(key for member in members for key in member.point)),
        metrics=sorted(metrics, key=_rank),
        rows=[_row(group, finals) for group in by_position.values()],
    )


def _row(group: list[Member], finals: Mapping[str, Mapping[str, float]]) -> TableRow:
    counts = Tally()
    for member in group:
        counts.by_state[member.state] += 1
    succeeded = [finals[member.job_id] for member in group if member.job_id in finals]
    names = sorted({name for final in succeeded for name in final}, key=_rank)
    return TableRow(
        point=group[0].point,
        counts=counts.by_state,
        n_jobs=len(group),
        n=len(succeeded),
        statistics={name: statistic(final[name] for final in succeeded if name in final) for name in names},
    )


def final_metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a result that tables are made of, by their path in it."""
    found: dict[str, Any] = {}
    for split, metrics in (result.get("metrics") or {}).items():
        found |= {f"metrics.{split}.{name}": value for name, value in (metrics or {}).items()}
    for layer, activity in (result.get("firing") or {}).items():
        found[f"firing.{layer}.rate_hz"] = (activity or {}).get("rate_hz")
    found["cost.wall_time_s"] = (result.get("cost") or {}).get("wall_time_s")
    return {name: float(value) for name, value in found.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def statistic(values: Iterable[float]) -> Statistic:
    """Mean, standard deviation of the sample, and half the width of the mean's confidence interval.

    The interval is that of Student's t with n - 1 degrees of freedom: mean ± t * std / sqrt(n).
    """
    sample = list(values)
    n = len(sample)
    mean = math.fsum(value / n for value in sample)
    if n == 1:
        return Statistic(mean=mean, std=None, ci95=None, n=n)
    std = statistics.stdev(sample)
    t = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2))
    return Statistic(mean=finite(mean), std=finite(std), ci95=finite(t * std / math.sqrt(n)), n=n)


_SPLITS = ("test", "validation", "train")


def _rank(metric: str) -> tuple[int, int, str]:
    """Metrics first, those of the test split in front; then firing rates, then cost."""
    family, middle, *_ = metric.split(".")
    families = ("metrics", "firing", "cost")
    return families.index(family), _SPLITS.index(middle) if middle in _SPLITS else len(_SPLITS), metric


def main_metrics(metrics: Iterable[str]) -> list[str]:
    """Those that a short table shows: of the split that tells most."""
    listed = list(metrics)
    for split in _SPLITS:
        if chosen := [name for name in listed if name.startswith(f"metrics.{split}.")]:
            return chosen
    return []
