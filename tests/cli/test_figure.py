"""Pictures of jobs over HTTP: which kind, of which sample, with which numbers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.client import Client, NothingToDraw, figures
from service.client.pictures import Sample
from service.store import jobs
from service.store.rows import MetricRow, RasterRow, RecordBatch
from tests.cli.conftest import Outcome
from tests.cli.held import Service, holding
from tests.client.samples import every_step_sample, k_winners_sample, recall_sample, sequence_sample, softmax_sample

Spikesmith = Callable[..., Outcome]

EXP4 = "renner/softmax-exp-4"
CURVES = [
    MetricRow(name, split, 10 * epoch, epoch, 1.0 / epoch)
    for name in ("loss", "accuracy")
    for split in ("train", "validation")
    for epoch in (1, 2, 3)
]


@pytest.fixture(scope="module")
def held(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all tests: each draws jobs of its own."""
    home = tmp_path_factory.mktemp("held")
    shutil.copyfile(sqlite_template, home / "jobs.db")
    with holding(f"sqlite:///{home / 'jobs.db'}", home) as running:
        yield running


def rows(sample: Sample, epoch: int = 50, number: int = 0) -> list[RasterRow]:
    """The sample as a job records it: layer by layer, with the reading on the last one."""
    found = []
    for info, spikes in sample.panels:
        dense = np.zeros((info.n_steps, info.n_neurons), dtype=np.bool_)
        dense[(spikes.times_ms / info.dt_ms).astype(int), spikes.neurons] = True
        last = info is sample.panels[-1][0]
        reading = sample.reading.model_dump(mode="json") if last else None
        found.append(RasterRow(epoch, 10 * epoch, "test", info.layer, number, 1, 1, info.dt_ms, dense, reading))
    return found


def recorded(service: Service, task: str, sample: Sample | None, result: dict[str, Any] | None = None) -> str:
    """A job of a task that has curves and, if there is one, a sample."""
    with service.database.write() as session:
        job_id = jobs.create(session, spec={"task": {"kind": task}}, name=f"a {task} job").id
    batch = RecordBatch(metrics=CURVES, rasters=rows(sample) if sample else [])
    service.finish(job_id, result or {"metrics": {}}, batch)
    return job_id


@pytest.mark.parametrize(
    ("task", "sample", "kind"),
    [
        ("softmax", softmax_sample(), "rates"),
        ("k_winners", k_winners_sample(), "rates"),
        ("recall", recall_sample(), "recall"),
        ("classification", sequence_sample(14), "sequence"),
        ("classification", every_step_sample(), "every_step"),
        ("classification", every_step_sample(current=True), "every_step"),
        ("classification", softmax_sample(), "learning"),
        ("softmax", None, "learning"),
    ],
)
def test_the_kind_goes_with_the_task_and_with_what_was_recorded(
    held: Service, task: str, sample: Sample | None, kind: str
) -> None:
    job_id = recorded(held, task, sample)
    with Client(held.url) as client:
        assert figures.draw(client, job_id).kind == kind


def test_layers_come_from_the_input_on_with_all_their_spikes(held: Service) -> None:
    sample = recall_sample()
    job_id = recorded(held, "recall", sample)
    with Client(held.url) as client:
        drawn = client.figure(job_id)
    panels = {axes.get_title(loc="left"): axes for axes in drawn.axes if axes.get_title(loc="left")}
    assert list(panels) == ["read out", "output", "embedded.hidden", "embedded.input", "hidden", "input"]
    for info, spikes in sample.panels:
        assert len(np.asarray(panels[info.layer].collections[0].get_offsets())) == len(spikes.neurons)


def test_the_last_epochs_first_sample_is_drawn_unless_another_is_named(held: Service) -> None:
    with held.database.write() as session:
        job_id = jobs.create(session, spec={"task": {"kind": "softmax"}}, name="many").id
    samples = [row for epoch in (1, 2) for number in (0, 1) for row in rows(softmax_sample(4), epoch, number)]
    held.finish(job_id, {}, RecordBatch(rasters=samples))
    with Client(held.url) as client:
        for chosen, words in (
            ({}, "sample 0 of the test split, epoch 2"),
            ({"epoch": 1}, "sample 0 of the test split, epoch 1"),
            ({"sample": 1}, "sample 1 of the test split, epoch 2"),
        ):
            assert figures.draw(client, job_id, "rates", **chosen).title == f"many: {words}"
        with pytest.raises(NothingToDraw, match="no recorded sample of the split 'train'"):
            client.figure(job_id, "rates", split="train")


def test_a_learning_curve_has_the_published_number_and_the_measured_ceiling(held: Service) -> None:
    with Client(held.url) as client:
        for metrics, ceiling in (({}, 0.971), ({"ceiling_accuracy": 0.9684}, 0.9684)):
            job_id = client.submit(preset=EXP4).id
            held.finish(job_id, {"metrics": {"test": metrics}}, RecordBatch(metrics=CURVES))
            accuracy = client.figure(job_id, "learning").axes[1]
            drawn = {str(line.get_label()): np.ravel(line.get_ydata()).tolist() for line in accuracy.lines}
            assert drawn["validation"] == [1.0, 0.5, 1 / 3]
            assert drawn["published 0.957"][0] == 0.957
            assert drawn[f"ceiling {ceiling}"][0] == ceiling


def test_a_running_job_has_a_learning_curve_too(held: Service, spikesmith: Spikesmith, tmp_path: Path) -> None:
    with Client(held.url) as client:
        job_id = client.submit(preset=EXP4).id
        outcome = spikesmith("figure", job_id, "--url", held.url, "--out", str(tmp_path / "early.png"))
        assert (outcome.code, "no learning curve yet" in outcome.err) == (2, True)
        held.begin(job_id).record(RecordBatch(metrics=CURVES))
        assert client.figure(job_id).axes[0].get_title(loc="left") == "loss"


@pytest.mark.parametrize(("ending", "head"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_ending_chooses_the_format(
    held: Service, spikesmith: Spikesmith, tmp_path: Path, ending: str, head: bytes
) -> None:
    job_id = recorded(held, "softmax", softmax_sample(4))
    target = tmp_path / f"picture.{ending}"
    outcome = spikesmith("figure", job_id, "--url", held.url, "--out", str(target))
    assert outcome.code == 0, outcome.err
    assert "a softmax job: sample 0 of the test split, epoch 50" in outcome.err
    assert target.read_bytes().startswith(head)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--kind", "rates", "--split", "validation"], "recording"),
        (["--kind", "sequence"], "no single analog input"),
        (["--kind", "every_step"], "not read at every time step"),
        (["--metric", "loss"], "goes with a sweep"),
        (["--kind", "pie"], "pie"),
        (["--out", "picture.txt"], ".png, .svg, .pdf"),
        (["--out", "no/such/folder.png"], "cannot write"),
    ],
)
def test_what_cannot_be_drawn_is_bad_usage(
    held: Service,
    spikesmith: Spikesmith,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    job_id = recorded(held, "softmax", softmax_sample(4))
    target = [] if "--out" in options else ["--out", "x.png"]
    outcome = spikesmith("figure", job_id, "--url", held.url, *target, *options)
    assert outcome.code == 2
    assert words in outcome.err
    assert not list(tmp_path.glob("*.png"))


SURROGATES = [{"kind": "triangle"}, {"kind": "fast_sigmoid", "width": 0.5}]


def swept(service: Service, metrics: list[MetricRow]) -> str:
    """A sweep of two points and two seeds, with these curves; the last of its jobs has not run."""
    with Client(service.url) as client:
        sweep = client.submit_sweep(preset="digits/surrogates", grid={"neuron.surrogate": SURROGATES}, seeds=[0, 1])
    for job in sweep.jobs[:3]:
        service.finish(job.id, {"metrics": {}}, RecordBatch(metrics=metrics))
    return sweep.id


def test_a_sweep_is_drawn_with_a_line_for_each_point_named_by_what_differs(
    held: Service, spikesmith: Spikesmith, tmp_path: Path
) -> None:
    probability = [MetricRow("true_label_probability", "train", 10 * epoch, epoch, 0.2) for epoch in (1, 2)]
    sweep_id = swept(held, [*CURVES, *probability])
    with Client(held.url) as client:
        figure = client.sweep_figure(sweep_id)
        assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss (validation)", "accuracy (validation)"]
        assert [str(line.get_label()) for line in figure.axes[0].lines] == ["triangle", "fast_sigmoid, width 0.5"]
        assert figure.legends[0].get_title().get_text() == "surrogate"
        named = client.sweep_figure(sweep_id, ["true_label_probability"], split="train")
        assert [axes.get_title(loc="left") for axes in named.axes] == ["true label probability (train)"]
    target = tmp_path / "sweep.png"
    outcome = spikesmith("figure", sweep_id, "--url", held.url, "--out", str(target), "--metric", "accuracy")
    assert outcome.code == 0, outcome.err
    assert target.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--metric", "accuracy", "--metric", "pie"], "'pie'"),
        (["--split", "test"], "of the split 'test'"),
        (["--kind", "rates"], "learning curves only"),
        (["--sample", "1"], "learning curves only"),
    ],
)
def test_what_a_sweep_has_no_picture_of_is_bad_usage(
    held: Service, spikesmith: Spikesmith, tmp_path: Path, options: list[str], words: str
) -> None:
    sweep_id = swept(held, CURVES)
    outcome = spikesmith("figure", sweep_id, "--url", held.url, "--out", str(tmp_path / "x.png"), *options)
    assert outcome.code == 2
    assert words in outcome.err
