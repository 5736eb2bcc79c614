"""Receptive fields on the command line, and pictures of what jobs came to, over HTTP."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from service.client import Client, figures
from service.store import jobs
from service.store.rows import MetricRow, ReceptiveFieldsRow, RecordBatch
from tests.cli.conftest import Outcome
from tests.cli.held import Service, holding
from tests.client.samples import CONFUSION, conversion_outcome, decisions

Spikesmith = Callable[..., Outcome]

LABELS = [0, None, 1, 1]
WEIGHTS = np.random.default_rng(2).random((4, 12)).astype(np.float32)
RESULT = {"confusion_matrix": CONFUSION, "decisions": decisions(), "conversion": conversion_outcome()}
CURVES = [
    MetricRow(name, "train", 10 * epoch, epoch, 1.0 / epoch)
    for name in ("loss", "leak.hidden_1", "v_threshold.hidden_1")
    for epoch in (1, 2)
]


@pytest.fixture(scope="module")
def held(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all tests."""
    home = tmp_path_factory.mktemp("held")
    shutil.copyfile(sqlite_template, home / "jobs.db")
    with holding(f"sqlite:///{home / 'jobs.db'}", home) as running:
        yield running


def job(service: Service, training: str = "bptt", result: dict[str, Any] | None = None, shape: Any = (3, 4, 1)) -> str:
    """A job that was trained so and has everything there is to draw, but for what a `result` of its own leaves out."""
    spec = {"task": {"kind": "classification"}, "training": {"kind": training}}
    with service.database.write() as session:
        job_id = jobs.create(session, spec=spec, name=f"a {training} job").id
    fields = [ReceptiveFieldsRow(epoch, 10 * epoch, "excitatory", shape, WEIGHTS * epoch, LABELS) for epoch in (1, 2)]
    batch = RecordBatch(metrics=CURVES, receptive_fields=fields)
    service.finish(job_id, RESULT if result is None else result, batch)
    return job_id


def test_receptive_fields_are_listed_and_saved_in_every_format(
    held: Service, spikesmith: Spikesmith, tmp_path: Path
) -> None:
    job_id = job(held)
    rows = json.loads(spikesmith("fields", job_id, "--json", "--url", held.url).out)
    assert [row["epoch"] for row in rows] == [2, 1]
    listed = spikesmith("fields", job_id, "--url", held.url).out
    assert "excitatory" in listed
    assert "3 × 4 × 1" in listed
    for suffix in ("png", "npz", "arrow"):
        target = tmp_path / f"fields.{suffix}"
        outcome = spikesmith("fields", job_id, "--neurons", "1:3", "--out", str(target), "--url", held.url)
        assert outcome.code == 0, outcome.err
        assert "layer excitatory, epoch 2, 4 neurons, 12 features" in outcome.err
    arrays = np.load(tmp_path / "fields.npz")
    assert np.array_equal(arrays["weights"], 2 * WEIGHTS[1:3])
    assert arrays["labels"].tolist() == [-1, 1]
    table = pa.ipc.open_stream(io.BytesIO((tmp_path / "fields.arrow").read_bytes())).read_all()
    assert table["neuron"].to_pylist() == [1, 2]
    drawn = {}
    for option in ([], ["--labels"]):
        arguments = ["fields", job_id, "--epoch", "1", *option, "--out", str(tmp_path / "one.png"), "--url", held.url]
        assert spikesmith(*arguments).code == 0
        drawn[len(option)] = np.asarray(Image.open(tmp_path / "one.png"))
    assert drawn[0].shape == drawn[1].shape
    assert (drawn[0] != drawn[1]).any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--layer", "nothing", "--out", "x.npz"], "no receptive fields fit"),
        (["--out", "x.svg"], ".png, .npz, .arrow"),
        (["--labels"], "go with --out"),
        (["--neurons", "1"], "go with --out"),
        (["--neurons", "a", "--out", "x.npz"], "neurons"),
    ],
)
def test_what_cannot_be_saved_is_bad_usage(
    held: Service,
    spikesmith: Spikesmith,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = spikesmith("fields", job(held), *options, "--url", held.url)
    assert outcome.code == 2
    assert words in outcome.err
    assert not list(tmp_path.iterdir())


def test_the_client_returns_arrays(held: Service) -> None:
    with Client(held.url) as client:
        job_id = job(held)
        (info,) = client.receptive_fields(job_id, epoch=1, layer="excitatory")
        fields = client.fields(job_id, info.id)
        assert (info.shape, info.labels) == ((3, 4, 1), LABELS)
        assert np.array_equal(fields.weights, WEIGHTS)
        assert fields.labels is not None
        assert fields.labels.tolist() == [0, -1, 1, 1]
        assert client.fields(job_id, info.id, neurons="3").neurons.tolist() == [3]


@pytest.mark.parametrize(
    ("training", "kind"),
    [("stdp", "fields"), ("teacher_stdp", "reaction_times"), ("diet", "conversion"), ("bptt", "learning")],
)
def test_the_kind_goes_with_the_training(held: Service, training: str, kind: str) -> None:
    with Client(held.url) as client:
        assert figures.draw(client, job(held, training)).kind == kind
        nothing = job(held, training, result={"metrics": {}}, shape=None)
        assert figures.draw(client, nothing).kind == "learning"


@pytest.mark.parametrize(
    ("kind", "heading"),
    [
        ("fields", "excitatory, 4 neurons, sorted by class"),
        ("confusion", "239 of 300 answers right"),
        ("reaction_times", "9 of 1,129 missed"),
        ("conversion", ""),
    ],
)
def test_outcomes_are_drawn(held: Service, spikesmith: Spikesmith, tmp_path: Path, kind: Any, heading: str) -> None:
    job_id = job(held)
    target = tmp_path / "outcome.png"
    outcome = spikesmith("figure", job_id, "--kind", kind, "--out", str(target), "--url", held.url)
    assert outcome.code == 0, outcome.err
    assert "a bptt job: " in outcome.err
    assert target.read_bytes().startswith(b"\x89PNG")
    with Client(held.url) as client:
        figure = client.figure(job_id, kind)
    assert figure.axes[0].get_title(loc="right") == heading
    if kind == "conversion":
        assert [axes.get_title(loc="left") for axes in figure.axes] == ["test accuracy", "leak", "threshold"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--kind", "fields"], "are no picture"),
        (["--kind", "fields", "--epoch", "9"], "no receptive fields of epoch 9"),
        (["--kind", "confusion"], "has no confusion matrix"),
        (["--kind", "reaction_times"], "has no reaction times"),
        (["--kind", "conversion"], "has no conversion"),
        (["--kind", "fields", "--sample", "1"], "draws no sample"),
        (["--kind", "confusion", "--epoch", "1"], "the end of the training"),
    ],
)
def test_an_outcome_that_a_job_does_not_have_is_bad_usage(
    held: Service, spikesmith: Spikesmith, tmp_path: Path, options: list[str], words: str
) -> None:
    job_id = job(held, result={"metrics": {}}, shape=None)
    outcome = spikesmith("figure", job_id, "--out", str(tmp_path / "x.png"), *options, "--url", held.url)
    assert outcome.code == 2
    assert words in outcome.err


def test_a_running_job_has_no_outcome_yet(held: Service, spikesmith: Spikesmith, tmp_path: Path) -> None:
    with Client(held.url) as client:
        job_id = client.submit(preset="digits/lsnn").id
    held.begin(job_id)
    arguments = ["figure", job_id, "--kind", "confusion", "--out", str(tmp_path / "x.png"), "--url", held.url]
    outcome = spikesmith(*arguments)
    assert (outcome.code, "is running" in outcome.err) == (2, True)


def test_showing_a_job_names_what_it_confuses_most(held: Service, spikesmith: Spikesmith) -> None:
    shown = spikesmith("show", job(held), "--url", held.url)
    assert shown.code == 0, shown.err
    assert "most confused: 2 → 1 (30 times), 2 → 0 (20 times), 0 → 2 (8 times)" in shown.out
