"""Sweeps from the command line, against a service that really runs, and whose housekeeping never rings twice."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from service.client import Client, Sweep
from tests.cli.conftest import TINY, Outcome
from tests.serving import Served, served

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("at_service")]
Spikesmith = Callable[..., Outcome]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    # Jobs that had to wait for their turn are rung for by the worker that ended another one, or not at all.
    with served(tmp_path_factory.mktemp("sweeps"), env={"SPIKESMITH_SWEEP_S": "3600"}) as running:
        yield running


@pytest.fixture
def sweep_file(tmp_path: Path) -> str:
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump({"spec": TINY, "grid": {"architecture.n_hidden": [10, 20]}, "seeds": [0, 1]}))
    return str(path)


@pytest.fixture(scope="module")
def done(service: Served) -> Sweep:
    """A sweep that ran one job at a time."""
    with Client(service.url) as client:
        made = client.submit_sweep(
            TINY, grid={"architecture.n_hidden": [10, 20]}, seeds=[0, 1], max_parallel=1, name="sizes"
        )
        return client.wait_sweep(made.id, timeout_s=400, poll_s=0.2)


def test_one_job_after_the_other_without_waiting_for_housekeeping(service: Served, done: Sweep) -> None:
    assert (done.state, done.all_succeeded, done.n_jobs) == ("finished", True, 4)
    with Client(service.url) as client:
        jobs = [client.job(job.id) for job in done.jobs]
    assert {job.sweep for job in jobs} == {done.id}
    spans = sorted((job.started_at, job.finished_at) for job in jobs if job.started_at and job.finished_at)
    assert len(spans) == 4
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def test_sweep_prints_the_id_alone_so_that_scripts_can_use_it(spikesmith: Spikesmith, sweep_file: str) -> None:
    outcome = spikesmith("sweep", sweep_file, "--seeds", "0:3", "--max-parallel", "1", "--label", "study=cli")
    assert outcome.code == 0
    assert len(outcome.out.split()) == 1
    sweep_id = outcome.out.strip()
    shown = json.loads(spikesmith("sweeps", "show", sweep_id, "--json").out)
    assert (shown["n_jobs"], shown["seeds"], shown["labels"]) == (6, [0, 1, 2], {"study": "cli"})
    assert "cancel" in spikesmith("sweeps", "cancel", sweep_id).out
    outcome = spikesmith("sweeps", "watch", sweep_id)
    assert outcome.code == 1
    assert "cancelled" in outcome.err
    assert spikesmith("sweeps", "delete", sweep_id).code == 0
    assert spikesmith("sweeps", "show", sweep_id).code == 2


def test_watching_shows_counts_and_ends_with_the_table(spikesmith: Spikesmith) -> None:
    changes = ["--set", "training.epochs=1", "--set", "encoding.duration_ms=5", "--set", "training.batch_size=512"]
    outcome = spikesmith("sweep", "--preset", "digits/lsnn", "--grid", "neuron.kind=lif,alif", *changes, "--watch")
    assert outcome.code == 0, outcome.err
    assert "2 succeeded" in outcome.err
    assert outcome.out.startswith("| neuron.kind | test accuracy | test loss | test true_label_probability | n |\n")
    assert [line.split(" | ")[0] for line in outcome.out.splitlines()[2:]] == ["| lif", "| alif"]


def test_a_job_that_fails_is_exit_code_1(spikesmith: Spikesmith, sweep_file: str) -> None:
    outcome = spikesmith("sweep", sweep_file, "--set", "device=cuda:99", "--seeds", "0", "--watch", "--json")
    assert outcome.code == 1
    assert json.loads(outcome.out)["counts"]["failed"] == 2


def test_a_value_that_cannot_work_is_named(spikesmith: Spikesmith, sweep_file: str) -> None:
    outcome = spikesmith("sweep", sweep_file, "--grid", "architecture.n_hidden=10,-1")
    assert outcome.code == 2
    assert "grid.architecture.n_hidden.1" in outcome.err
    assert "n_hidden = -1" in outcome.err


def test_sweeps_are_listed_and_shown(spikesmith: Spikesmith, done: Sweep) -> None:
    listed = next(line for line in spikesmith("sweeps").out.splitlines() if done.id in line)
    for word in ("finished", "4/4", "sizes", "n_hidden, seed"):
        assert word in listed
    shown = spikesmith("sweeps", "show", done.id).out
    assert "4 succeeded" in shown
    assert all(job.id in shown for job in done.jobs)
    assert len(json.loads(spikesmith("sweeps", "--limit", "1", "--json").out)) == 1


def test_the_table_comes_in_three_formats_and_into_a_file(
    spikesmith: Spikesmith, service: Served, done: Sweep, tmp_path: Path
) -> None:
    with Client(service.url) as client:
        table = client.sweep_table(done.id)
    accuracy = [row.statistics["metrics.test.accuracy"] for row in table.rows]
    assert [(row.point, row.n) for row in table.rows] == [({"architecture.n_hidden": n}, 2) for n in (10, 20)]
    assert all(one.std is not None and one.ci95 is not None and one.ci95 >= one.std for one in accuracy)
    assert "±" in spikesmith("sweeps", "table", done.id).out
    assert json.loads(spikesmith("sweeps", "table", done.id, "--format", "json").out) == table.raw
    target = tmp_path / "table.csv"
    assert spikesmith("sweeps", "table", done.id, "--format", "csv", "--out", str(target)).code == 0
    rows = list(csv.DictReader(io.StringIO(target.read_text())))
    assert [float(row["metrics.test.accuracy.mean"]) for row in rows] == [one.mean for one in accuracy]


def test_a_sweep_that_stopped_goes_on(spikesmith: Spikesmith, service: Served, sweep_file: str) -> None:
    sweep_id = spikesmith("sweep", sweep_file, "--max-parallel", "1").out.strip()
    spikesmith("sweeps", "cancel", sweep_id)
    with Client(service.url) as client:
        client.wait_sweep(sweep_id, timeout_s=120, poll_s=0.1)
        assert "queued" in spikesmith("sweeps", "resume", sweep_id).out
        assert client.wait_sweep(sweep_id, timeout_s=400, poll_s=0.2).all_succeeded
