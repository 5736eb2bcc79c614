"""The command line against a service that really runs."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest
import yaml

from service.client import Client
from tests.cli.conftest import TINY, Outcome
from tests.serving import Served

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("at_service")]
Spikesmith = Callable[..., Outcome]

LONG = ("--set", "training.epochs=100000")
"""What nobody waits for the end of."""


@pytest.fixture
def spec_file(tmp_path: Path) -> str:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return str(path)


@pytest.fixture(scope="module")
def done(service: Served) -> str:
    """A job that succeeded."""
    with Client(service.url) as client:
        job = client.wait(client.submit(TINY, name="tiny", labels={"study": "cli"}).id, timeout_s=120)
    assert job.state == "succeeded", job.error
    return job.id


@pytest.fixture
def running(service: Served, spikesmith: Spikesmith, spec_file: str) -> Iterator[str]:
    """A job that has begun to train and would go on for long."""
    job_id = spikesmith("submit", spec_file, *LONG).out.strip()
    with Client(service.url) as client:
        next(event for event in client.events(job_id) if event.type == "progress")
        yield job_id
        left = [job.id for state in ("queued", "running", "paused") for job in client.jobs(state=state)]
        if job_id in left:
            client.cancel(job_id)
            client.wait(job_id, timeout_s=60)


def test_submit_prints_the_id_alone_so_that_scripts_can_use_it(spikesmith: Spikesmith, spec_file: str) -> None:
    outcome = spikesmith("submit", spec_file, "--name", "quick")
    assert outcome.code == 0
    assert outcome.out.strip().startswith("job_")
    assert len(outcome.out.split()) == 1
    assert json.loads(spikesmith("show", outcome.out.strip(), "--json").out)["name"] == "quick"


def test_submit_and_watch_shows_the_training_and_ends_with_the_result(spikesmith: Spikesmith, spec_file: str) -> None:
    outcome = spikesmith("submit", spec_file, "--watch", "--set", "training.epochs=2")
    assert outcome.code == 0
    assert re.search(r"epoch [12]/2\b", outcome.err)
    assert "succeeded" in outcome.out
    assert "accuracy" in outcome.out


def test_submit_watch_json_leaves_only_json_on_standard_output(spikesmith: Spikesmith, spec_file: str) -> None:
    outcome = spikesmith("submit", spec_file, "--watch", "--json", "--set", "seed=7")
    job = json.loads(outcome.out)
    assert (outcome.code, job["state"], job["spec"]["seed"]) == (0, "succeeded", 7)


def test_changes_of_a_preset_travel_as_overrides(spikesmith: Spikesmith) -> None:
    outcome = spikesmith("submit", "--preset", "digits/lsnn", "--set", "training.epochs=1", "--json")
    job = json.loads(outcome.out)
    assert (job["preset"], job["spec"]["training"]["epochs"]) == ("digits/lsnn", 1)
    spikesmith("cancel", job["id"])


def test_a_spec_that_cannot_work_names_the_field(spikesmith: Spikesmith, spec_file: str) -> None:
    outcome = spikesmith("submit", spec_file, "--set", "training.epochs=0", "--set", "neuron.tau_ms=3")
    assert outcome.code == 2
    assert "training.epochs" in outcome.err
    assert "neuron.tau_ms" in outcome.err
    assert "Traceback" not in outcome.err


def test_an_unknown_job_and_an_unknown_preset_are_bad_usage(spikesmith: Spikesmith) -> None:
    assert spikesmith("show", "job_nothing").code == 2
    outcome = spikesmith("submit", "--preset", "digits/lsn")
    assert outcome.code == 2
    assert "digits/lsnn" in outcome.err


def test_a_job_that_fails_is_exit_code_1_and_says_why(spikesmith: Spikesmith, spec_file: str) -> None:
    outcome = spikesmith("submit", spec_file, "--watch", "--set", "device=cuda:99")
    assert outcome.code == 1
    assert "device_unavailable" in outcome.out


def test_lists_are_filtered_and_cut(spikesmith: Spikesmith, done: str) -> None:
    assert done in spikesmith("jobs", "--state", "succeeded", "--limit", "100").out
    assert [job["id"] for job in json.loads(spikesmith("jobs", "--label", "study=cli", "--json").out)] == [done]
    assert "no jobs" in spikesmith("jobs", "--label", "study=none").err
    assert len(json.loads(spikesmith("jobs", "--limit", "1", "--json").out)) == 1


def test_show_has_the_numbers(spikesmith: Spikesmith, done: str) -> None:
    shown = spikesmith("show", done).out
    for word in ("tiny", "succeeded", "study=cli", "accuracy", "fires at", "trained for"):
        assert word in shown


def test_logs_are_printed_oldest_first(spikesmith: Spikesmith, done: str) -> None:
    lines = json.loads(spikesmith("logs", done, "--json").out)
    assert lines
    assert [line["seq"] for line in lines] == sorted(line["seq"] for line in lines)
    assert lines[0]["message"] in spikesmith("logs", done).out


def test_presets_are_listed_and_shown(spikesmith: Spikesmith) -> None:
    assert "digits/lsnn" in spikesmith("presets").out
    assert json.loads(spikesmith("presets", "digits/lsnn").out)["spec"]["dataset"]["kind"] == "digits"


def test_rasters_are_listed_and_saved_in_every_format(spikesmith: Spikesmith, done: str, tmp_path: Path) -> None:
    rows = json.loads(spikesmith("raster", done, "--json").out)
    layer = next(row["layer"] for row in rows if row["layer"] != "input")
    assert layer in spikesmith("raster", done).out
    for suffix in ("png", "svg", "npz", "arrow"):
        target = tmp_path / f"raster.{suffix}"
        outcome = spikesmith("raster", done, "--layer", layer, "--sample", "0", "--out", str(target))
        assert outcome.code == 0, outcome.err
        assert f"layer {layer}" in outcome.err
    assert (tmp_path / "raster.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "raster.svg").read_bytes()
    dense = np.load(tmp_path / "raster.npz")["spikes"]
    table = pa.ipc.open_stream(io.BytesIO((tmp_path / "raster.arrow").read_bytes())).read_all()
    assert dense.dtype == np.bool_
    assert table.num_rows == dense.sum()
    assert np.array_equal(np.nonzero(dense)[1], table["neuron"].to_numpy())


def test_a_job_is_drawn_as_it_learned(spikesmith: Spikesmith, done: str, tmp_path: Path) -> None:
    outcome = spikesmith("figure", done, "--out", str(tmp_path / "learning.png"))
    assert outcome.code == 0, outcome.err
    assert "tiny: how it learned" in outcome.err
    assert (tmp_path / "learning.png").read_bytes().startswith(b"\x89PNG")


def test_a_raster_that_was_not_recorded_is_bad_usage(spikesmith: Spikesmith, done: str, tmp_path: Path) -> None:
    outcome = spikesmith("raster", done, "--layer", "nothing", "--out", str(tmp_path / "x.png"))
    assert outcome.code == 2
    assert not (tmp_path / "x.png").exists()


def test_pause_resume_cancel_and_delete(spikesmith: Spikesmith, service: Served, running: str) -> None:
    assert spikesmith("delete", running).code == 2
    assert spikesmith("pause", running).code == 0
    with Client(service.url) as client:
        next(e for e in client.events(running) if e.type == "state" and e.data["state"] == "paused")
        assert "paused" in spikesmith("show", running).out
        assert "queued" in spikesmith("resume", running).out
        before = client.job(running)
        next(e for e in client.events(running) if e.type == "state" and e.data["state"] == "running")
        assert before.attempt == 1
    assert spikesmith("cancel", running).code == 0
    watched = spikesmith("watch", running)
    assert watched.code == 1
    assert "cancelled" in watched.out
    assert spikesmith("delete", running).code == 0
    assert spikesmith("show", running).code == 2


def test_ctrl_c_leaves_the_job_running_and_says_how_to_stop_it(service: Served, running: str) -> None:
    # Whoever runs the tests in the background may have SIGINT ignored, which children inherit.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{listen}; import service.cli; service.cli.main()", "watch", running]
    env = {**os.environ, "SPIKESMITH_URL": service.url}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as watcher:
        assert watcher.stderr is not None
        while "epoch" not in watcher.stderr.readline():
            assert watcher.poll() is None
        watcher.send_signal(signal.SIGINT)
        rest = watcher.stderr.read()
        assert watcher.wait(30) == 0
    assert f"spikesmith cancel {running}" in rest
    assert "Traceback" not in rest
    with Client(service.url) as client:
        assert client.job(running).state == "running"


def test_watching_goes_on_when_the_api_restarts(service: Served, running: str) -> None:
    with Client(service.url) as client:
        events = client.events(running)
        seen = [next(events).seq for _ in range(3)]
        (api,) = (p for p in psutil.Process(service.pid).children() if "service.server.api" in p.cmdline())
        api.kill()
        # Until an event comes that happened after the kill: the stream broke, and was picked up.
        for event in events:
            seen.append(event.seq)
            if event.type == "progress" and len(seen) > 10 and not psutil.pid_exists(api.pid):
                break
    assert seen == list(range(1, len(seen) + 1))
