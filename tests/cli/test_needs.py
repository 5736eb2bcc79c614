"""Chains of jobs from the command line, in a service that really runs."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.client import Client
from snncore.presets import get_preset
from tests.cli.conftest import Outcome
from tests.serving import Served

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("at_service")]
Spikesmith = Callable[..., Outcome]

DEPENDENT = "renner/store-recall-softmax-network@quick"
BASE = "renner/softmax-reg-4@quick"


@pytest.fixture
def client(service: Served) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client
        for state in ("queued", "running"):  # a chain of minutes is nothing to wait for
            for job in client.jobs(state=state):
                client.cancel(job.id)
                client.wait(job.id, timeout_s=60)


def small(**architecture: Any) -> dict[str, Any]:
    """A job of a second or two whose network can be embedded."""
    spec = copy.deepcopy(get_preset("renner/softmax-exp-4").spec)
    spec["dataset"] |= {"n_train": 100, "n_validation": 50, "n_test": 50}
    spec["encoding"]["duration_ms"] = 50.0
    spec["training"]["epochs"] = 1
    spec["architecture"] |= architecture
    return spec


def test_a_job_trains_on_top_of_the_network_that_it_waited_for(
    spikesmith: Spikesmith, client: Client, tmp_path: Path
) -> None:
    needed = client.submit(small())
    path = tmp_path / "on_top.yaml"
    path.write_text(yaml.safe_dump(small(embedded={"job": needed.id}, n_hidden=20)))
    outcome = spikesmith("submit", str(path), "--watch", "--json")
    assert outcome.code == 0, outcome.err
    job, needed = client.job(json.loads(outcome.out)["id"]), client.job(needed.id)
    assert (needed.state, job.state, job.needs) == ("succeeded", "succeeded", [needed.id])
    assert needed.finished_at is not None
    assert job.started_at is not None
    assert needed.finished_at <= job.started_at
    assert needed.id in spikesmith("show", job.id).out
    assert job.id in spikesmith("show", needed.id).out
    assert job.id in spikesmith("delete", needed.id).err
    assert [spikesmith("delete", one.id).code for one in (job, needed)] == [0, 0]


def test_submit_queues_what_a_preset_needs_and_says_so(spikesmith: Spikesmith, client: Client) -> None:
    first = spikesmith("submit", "--preset", DEPENDENT, "--set", "training.epochs=1")
    assert first.code == 0, first.err
    job = client.job(first.out.strip())
    (base,) = job.needs
    assert client.job(base).preset == BASE
    assert f"needs {BASE}: {base} queued first" in first.err
    assert job.spec["training"]["epochs"] == 1

    again = spikesmith("submit", "--preset", DEPENDENT)
    assert client.job(again.out.strip()).needs == [base]
    assert f"{base} already" in again.err

    anew = spikesmith("submit", "--preset", DEPENDENT, "--fresh", "--json")
    assert json.loads(anew.out)["needs"] != [base]

    named = spikesmith("submit", "--preset", DEPENDENT, "--set", f"architecture.embedded.job={base}")
    assert client.job(named.out.strip()).needs == [base]
    assert "needs" not in named.err


def test_watching_a_chain_shows_both_jobs_in_order(service: Served, client: Client) -> None:
    command = [sys.executable, "-P", "-m", "service.cli", "submit", "--preset", DEPENDENT, "--watch", "--fresh"]
    env = {**os.environ, "SPIKESMITH_URL": service.url}
    watcher = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    with watcher:
        assert watcher.stderr is not None
        assert watcher.stdout is not None
        while "running" not in (line := watcher.stderr.readline()):
            assert line, watcher.stdout.read()
        (base,) = client.jobs(preset=BASE, state="running")
        client.cancel(base.id)
        out = watcher.stdout.read()
        assert watcher.wait(60) == 1
    (dependent,) = client.job(base.id).needed_by
    assert out.index(f"{base.id} cancelled") < out.index(f"{dependent} failed") < out.index("needed_job_failed")


def test_presets_show_what_they_need(spikesmith: Spikesmith) -> None:
    (line,) = (line for line in spikesmith("presets").out.splitlines() if line.startswith(DEPENDENT))
    assert line.split()[-1] == BASE
