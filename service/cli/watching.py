"""A job's training, live on a terminal, or a line an epoch where there is none."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from service.cli.output import duration, err, state_text
from service.client import TERMINAL, Client, Event, Job

RECONNECT_S = 300.0
"""How long a watcher waits for a service that went away: long enough for a restart or an upgrade."""


class Display(AbstractContextManager["Display"], Protocol):
    """Where a `Watcher` shows what it learned."""

    def note(self, markup: str) -> None: ...
    def update(self, watcher: Watcher) -> None: ...


class Watcher:
    """What is known of a job from its events."""

    def __init__(self, job: Job) -> None:
        self.state = job.state
        self.epoch: int | None = None
        self.epochs: int | None = None
        self.fraction = 0.0
        self.samples_per_s: float | None = None
        self.eta_s: float | None = None
        self.metrics: dict[tuple[str, str], float] = {}

    def take(self, event: Event) -> str | None:
        """Learns from an event. Answers what is worth a line of its own."""
        match event.type:
            case "state":
                self.state = event.data["state"]
                if self.state == "succeeded":
                    self.fraction, self.eta_s = 1.0, 0.0
                return state_text(self.state) if self.state not in TERMINAL else None
            case "progress":
                self.epoch = event.data.get("epoch", self.epoch)
                self.epochs = event.data.get("epochs", self.epochs)
                self.fraction = event.data.get("fraction", self.fraction)
                self.samples_per_s = event.data.get("samples_per_s")
                self.eta_s = event.data.get("eta_s")
            case "metric":
                for point in event.data.get("points", []):
                    if point.get("value") is not None:
                        self.metrics[point["name"], point["split"]] = point["value"]
            case "log" if event.data.get("level") in ("warning", "error"):
                return f"[yellow]{escape(event.data['message'])}[/]"
        return None

    def metric(self, name: str) -> tuple[float, str] | None:
        """The newest value, of the split that tells most: validation before training."""
        for split in ("validation", "train"):
            if (name, split) in self.metrics:
                return self.metrics[name, split], split
        return None

    @property
    def loss(self) -> float | None:
        """The batch's, which moves, until an epoch is through."""
        found = self.metric("loss")
        return found[0] if found else self.metrics.get(("batch_loss", "train"))


class LiveDisplay:
    """A progress bar with epoch, loss, accuracy, speed and time left."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[state]}"),
            BarColumn(bar_width=28, complete_style="cyan", finished_style="green", table_column=Column(min_width=8)),
            _Numbers(),
            console=console,
            refresh_per_second=8,
        )
        self._task = self._progress.add_task("", total=1.0, state="", watcher=None)

    def __enter__(self) -> LiveDisplay:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def note(self, markup: str) -> None:
        self._progress.console.print(f"  {markup}")

    def update(self, watcher: Watcher) -> None:
        self._progress.update(self._task, completed=watcher.fraction, state=state_text(watcher.state), watcher=watcher)


class _Numbers(TextColumn):
    """The columns behind the bar, empty until they are known."""

    def __init__(self) -> None:
        super().__init__("", table_column=Column(no_wrap=True))

    def render(self, task: Task) -> Text:
        watcher: Watcher | None = task.fields["watcher"]
        return Text.from_markup("  ".join(describe(watcher)) if watcher else "")


class PlainDisplay:
    """A line when an epoch is through, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._epoch: int | None = None

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def note(self, markup: str) -> None:
        self._console.print(markup)

    def update(self, watcher: Watcher) -> None:
        if watcher.epoch is not None and watcher.epoch != self._epoch:
            self._epoch = watcher.epoch
            self._console.print("  ".join(describe(watcher)))


def describe(watcher: Watcher) -> list[str]:
    """`epoch 3/20`, `loss 0.41`, `accuracy 91.2 %`, `1,204 samples/s`, `0:12 left`."""
    words = []
    if watcher.epoch is not None:
        words.append(f"epoch [bold]{watcher.epoch}[/]/{watcher.epochs}")
    if watcher.loss is not None:
        words.append(f"loss [bold]{watcher.loss:.3g}[/]")
    accuracy = watcher.metric("accuracy")
    if accuracy is not None:
        words.append(f"accuracy [bold]{accuracy[0]:.1%}[/]")
    if watcher.samples_per_s and watcher.state == "running":
        words.append(f"{watcher.samples_per_s:,.0f} samples/s")
    if watcher.eta_s is not None and watcher.state == "running":
        words.append(f"[cyan]{duration(watcher.eta_s)} left[/]")
    return words


def follow(client: Client, job: Job, console: Console = err, reconnect_s: float = RECONNECT_S) -> Watcher:
    """Shows a job until it ends. The service may restart meanwhile."""
    watcher = Watcher(job)
    display: Display = LiveDisplay(console) if console.is_terminal else PlainDisplay(console)
    last: Any = None
    with display:
        display.update(watcher)
        for event in client.events(job.id, reconnect_s=reconnect_s):
            line = watcher.take(event)
            if line is not None and line != last:
                display.note(line)
                last = line
            display.update(watcher)
    return watcher
