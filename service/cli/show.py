"""How a job and its result are put into words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.markup import escape

from service.cli.output import ago, duration, out, state_text, table
from service.client import Job, Series


def job(job: Job, series: Iterable[Series], result: dict[str, Any] | None) -> None:
    """All there is to say about a job."""
    title = f"  {escape(job.name)}" if job.name else ""
    out.print(f"[bold]{job.id}[/]{title}  {state_text(job.state)}")
    facts = table("", "")
    facts.show_header = False
    if job.preset:
        facts.add_row("preset", escape(job.preset))
    for other in job.needs:
        facts.add_row("needs", other)
    for other in job.needed_by:
        facts.add_row("needed by", other)
    for key, value in job.labels.items():
        facts.add_row("label", escape(f"{key}={value}"))
    facts.add_row("created", ago(job.created_at))
    if job.seconds is not None:
        facts.add_row("took", duration(job.seconds))
    if job.attempt > 1:
        facts.add_row("attempts", str(job.attempt))
    if job.progress and job.progress.epoch is not None and not job.is_terminal:
        facts.add_row("epoch", f"{job.progress.epoch} of {job.progress.epochs}")
    out.print(facts)
    _trouble(job)
    rows = sorted(series, key=lambda s: (s.split, s.name))
    if rows:
        out.print()
        grid = table("metric", "split", "last", "min", "max", "points", right=["last", "min", "max", "points"])
        for s in rows:
            unit = f" {s.unit}" if s.unit else ""
            grid.add_row(escape(s.name), s.split, number(s.last) + unit, number(s.min), number(s.max), str(s.count))
        out.print(grid)
    if result:
        out.print()
        outcome(result)


def ending(job: Job, result: dict[str, Any] | None) -> None:
    """How a job that was watched came out."""
    took = f" after {duration(job.seconds)}" if job.seconds is not None else ""
    out.print(f"{job.id} {state_text(job.state)}{took}")
    _trouble(job)
    if result:
        outcome(result)


def outcome(result: dict[str, Any]) -> None:
    """Final metrics, firing rates and cost, as far as the result has them."""
    metrics: dict[str, dict[str, float]] = result.get("metrics") or {}
    splits = [split for split in ("train", "validation", "test") if split in metrics]
    if splits:
        grid = table("", *splits, right=splits)
        for name in dict.fromkeys(name for split in splits for name in metrics[split]):
            grid.add_row(escape(name), *(number(metrics[split].get(name)) for split in splits))
        out.print(grid)
    reference = result.get("reference")
    if reference:
        ours = reference.get("difference")
        by = f", this run {ours:+.4g} off it" if ours is not None else ""
        changed = "" if reference.get("same_spec", True) else " (the spec was changed)"
        where = f"{reference['split']} {reference['metric']}"
        out.print(f"published {escape(where)}: {number(reference['published'])}{by}{changed}")
    if confused := result.get("most_confused"):
        pairs = (f"{pair['true']} → {pair['predicted']} ({pair['count']} times)" for pair in confused[:3])
        out.print(f"most confused: {', '.join(pairs)}")
    firing: dict[str, dict[str, float]] = result.get("firing") or {}
    for layer, activity in firing.items():
        silent = activity.get("silent_share")
        aside = f", {silent:.0%} of its neurons silent" if silent else ""
        out.print(f"layer [bold]{escape(layer)}[/] fires at {number(activity.get('rate_hz'))} Hz{aside}")
    cost: dict[str, Any] = result.get("cost") or {}
    if cost.get("wall_time_s") is not None:
        rate = f" at {cost['samples_per_s']:,.0f} samples/s" if cost.get("samples_per_s") else ""
        memory = f", {cost['peak_memory_bytes'] / 2**20:,.0f} MiB at most" if cost.get("peak_memory_bytes") else ""
        out.print(f"trained for {duration(cost['wall_time_s'])}{rate}{memory}")


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _trouble(job: Job) -> None:
    for warning in job.warnings:
        out.print(f"[yellow]warning:[/] {escape(warning)}")
    if job.error is not None:
        out.print(f"[red]{escape(job.error.code)}:[/] {escape(job.error.detail)}")
