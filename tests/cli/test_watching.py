"""What a watcher shows of a job's events."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

from rich.console import Console

from service.cli.output import ago, duration
from service.cli.watching import LiveDisplay, PlainDisplay, Watcher, describe
from service.client import Event, Job

JOB = Job.of({"id": "job_1", "state": "queued", "created_at": "2026-01-01T00:00:00Z"})


def metric(name: str, split: str, value: float | None) -> Event:
    return Event(1, "metric", {"step": 1, "epoch": 1, "points": [{"name": name, "split": split, "value": value}]})


def progress(epoch: int, fraction: float) -> Event:
    data = {"epoch": epoch, "epochs": 20, "fraction": fraction, "samples_per_s": 1234.5, "eta_s": 72.4}
    return Event(1, "progress", data)


def running() -> Watcher:
    watcher = Watcher(JOB)
    watcher.take(Event(1, "state", {"state": "running"}))
    watcher.take(progress(3, 0.15))
    return watcher


def test_epoch_loss_accuracy_speed_and_time_left_are_shown() -> None:
    watcher = running()
    watcher.take(metric("loss", "validation", 0.4123))
    watcher.take(metric("accuracy", "validation", 0.9111))
    shown = Console(file=io.StringIO()).render_str("  ".join(describe(watcher))).plain
    assert shown == "epoch 3/20  loss 0.412  accuracy 91.1%  1,234 samples/s  1:12 left"


def test_the_loss_of_the_batch_stands_in_until_an_epoch_is_through() -> None:
    watcher = running()
    watcher.take(metric("batch_loss", "train", 2.3))
    assert watcher.loss == 2.3
    watcher.take(metric("loss", "train", 1.9))
    assert watcher.loss == 1.9
    watcher.take(metric("loss", "validation", 2.1))
    assert watcher.loss == 2.1
    watcher.take(metric("loss", "validation", None))
    assert watcher.loss == 2.1


def test_warnings_are_told_and_markup_in_them_is_only_text() -> None:
    note = Watcher(JOB).take(Event(1, "log", {"level": "warning", "message": "layer [bold]x[/] is silent"}))
    assert note is not None
    assert "layer [bold]x[/] is silent" in Console(file=io.StringIO()).render_str(note).plain
    assert Watcher(JOB).take(Event(1, "log", {"level": "info", "message": "epoch 1"})) is None


def test_without_a_terminal_there_is_a_line_an_epoch() -> None:
    text = io.StringIO()
    watcher = running()
    with PlainDisplay(Console(file=text)) as display:
        for epoch in (1, 1, 1, 2, 2, 3):
            watcher.take(progress(epoch, 0.1))
            display.update(watcher)
    assert [line.split("  ")[0] for line in text.getvalue().splitlines()] == ["epoch 1/20", "epoch 2/20", "epoch 3/20"]


def test_on_a_terminal_the_bar_fills_up() -> None:
    text = io.StringIO()
    watcher = running()
    with LiveDisplay(Console(file=text, force_terminal=True, width=120)) as display:
        display.update(watcher)
        watcher.take(Event(9, "state", {"state": "succeeded"}))
        display.update(watcher)
    last_frame = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.getvalue()).rpartition("\r")[2]
    assert last_frame.split() == ["succeeded", "━" * 28, "epoch", "3/20"]


def test_durations_read_naturally() -> None:
    assert [duration(s) for s in (0.4, 59.4, 59.6, 187, 7509)] == ["0 s", "59 s", "1:00", "3:07", "2:05:09"]
    assert ago(None) == ""
    assert ago(datetime.now(UTC)) == "0 s ago"
