from __future__ import annotations

import copy
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.settings import Settings
from service.store import jobs
from service.store.engine import Database
from service.store.rows import CheckpointRow, RecordBatch
from snncore.errors import TrainingError
from snncore.events import Checkpoint, Event, Finished, Progress, Started, Stopped
from snncore.presets import get_preset
from snncore.spec import embeddable, parse_job_spec
from tests.worker.claimed import ClaimedJob
from worker.trainer import EXIT_DONE, EXIT_SUPERSEDED, EXIT_USAGE, StopRequests, Train, main, run_attempt, snncore_train

RESULT = {"metrics": {}}


class Training:
    """Stands in for `snncore.train`: obeys `should_stop`, counts steps, does what a test wants done at a step."""

    def __init__(self, steps: int = 20, at: dict[int, Callable[[], object]] | None = None) -> None:
        self.steps = steps
        self.at = at or {}
        self.resumed_from: bytes | None = None
        self.arguments: dict[str, Any] = {}
        self.stopped_at: int | None = None

    def __call__(
        self, spec: object, *, resume: bytes | None, should_stop: Callable[[], str | None], **arguments: Any
    ) -> Iterator[Event]:
        self.resumed_from, self.arguments = resume, arguments
        yield Started({})
        for step in range(1, self.steps + 1):
            if (reason := should_stop()) is not None:
                self.stopped_at = step
                yield Checkpoint("last", 1, step, b"so far")
                yield Stopped(reason)
                return
            if step in self.at:
                self.at[step]()
            yield Progress(1, 1, step, self.steps, 1.0, 1.0)
        yield Finished(RESULT)


def run(job: ClaimedJob, settings: Settings, training: Train, stop: StopRequests | None = None) -> int:
    settings = settings.model_copy(update={"flush_s": 0.0})
    return run_attempt(job.attempt, stop or StopRequests(), settings, training)


def raises(error: Exception) -> Callable[[], object]:
    def act() -> object:
        raise error

    return act


def test_a_run_that_ends_makes_the_job_succeed(job: ClaimedJob, settings: Settings) -> None:
    training = Training()
    assert run(job, settings, training) == EXIT_DONE
    assert (job.row.state, job.row.result) == ("succeeded", RESULT)
    assert training.arguments == {"checkpoint_interval_s": settings.checkpoint_interval_s, "networks": {}}


def test_a_run_goes_on_from_the_last_checkpoint(job: ClaimedJob, settings: Settings) -> None:
    job.attempt.record(
        RecordBatch(checkpoints=[CheckpointRow("best", 1, 3, b"best"), CheckpointRow("last", 1, 4, b"here")])
    )
    training = Training()
    run(job, settings, training)
    assert training.resumed_from == b"here"


def embedding_job(database: Database, best: bytes | None) -> tuple[ClaimedJob, str]:
    """A job that embeds the network of another one, which has succeeded and left `best`."""
    spec = copy.deepcopy(get_preset("renner/softmax-exp-4").spec)
    needed = ClaimedJob(database, spec)
    rows = [] if best is None else [CheckpointRow("best", 1, 3, best)]
    needed.attempt.succeed(RecordBatch(checkpoints=rows), RESULT)
    network = embeddable(parse_job_spec(spec)).model_dump(mode="json")
    spec["architecture"]["embedded"] = {"job": needed.id, "network": network}
    return ClaimedJob(database, spec, [needed.id]), needed.id


def test_a_run_gets_the_best_weights_of_the_jobs_that_it_needs(sqlite_database: Database, settings: Settings) -> None:
    job, needed = embedding_job(sqlite_database, b"best of another")
    training = Training()
    assert run(job, settings, training) == EXIT_DONE
    assert training.arguments["networks"] == {needed: b"best of another"}
    assert job.row.state == "succeeded"


def test_a_job_whose_needed_network_is_gone_fails_and_says_so(sqlite_database: Database, settings: Settings) -> None:
    job, needed = embedding_job(sqlite_database, None)
    assert run(job, settings, snncore_train) == EXIT_DONE
    assert (job.row.state, job.row.error_code) == ("failed", "network_unavailable")
    assert needed in (job.row.error_detail or "")


@pytest.mark.parametrize(("ask", "state"), [(jobs.cancel, "cancelled"), (jobs.pause, "paused")])
def test_a_request_stops_the_run_at_the_next_batch_with_a_checkpoint(
    job: ClaimedJob, settings: Settings, ask: Callable[..., Any], state: str
) -> None:
    training = Training(at={5: lambda: job.ask(ask)})
    assert run(job, settings, training) == EXIT_DONE
    assert training.stopped_at == 6
    assert job.row.state == state
    assert [event["kind"] for event in job.events("checkpoint")] == ["last"]


def test_a_shutdown_gives_the_job_back_without_counting_a_crash(job: ClaimedJob, settings: Settings) -> None:
    stop = StopRequests()
    assert run(job, settings, Training(at={5: stop.leave}), stop) == EXIT_DONE
    assert (job.row.state, job.row.crashes, job.row.dispatched_at) == ("queued", 0, None)
    assert [event["kind"] for event in job.events("checkpoint")] == ["last"]


def test_a_cancel_goes_before_a_shutdown(job: ClaimedJob, settings: Settings) -> None:
    stop = StopRequests()

    def both() -> None:
        stop.leave()
        job.ask(jobs.cancel)

    run(job, settings, Training(at={5: both}), stop)
    assert job.row.state == "cancelled"


def test_the_death_of_the_parent_is_a_shutdown() -> None:
    stop = StopRequests()
    ours, theirs = os.pipe()
    stop.leave_with_parent(ours)
    assert stop() is None
    os.close(theirs)
    assert stop._leave.wait(10)
    assert stop() == "shutdown"
    os.close(ours)


def test_an_error_of_the_run_is_the_error_of_the_job(job: ClaimedJob, settings: Settings) -> None:
    error = TrainingError("device_unavailable", "this machine has no cuda:3")
    assert run(job, settings, Training(at={3: raises(error)})) == EXIT_DONE
    row = job.row
    assert (row.state, row.error_code, row.error_detail) == (
        "failed",
        "device_unavailable",
        "this machine has no cuda:3",
    )


def test_an_unexpected_error_leaves_its_traceback_in_the_log_only(job: ClaimedJob, settings: Settings) -> None:
    assert run(job, settings, Training(at={3: raises(KeyError("secret"))})) == EXIT_DONE
    row = job.row
    assert (row.state, row.error_code) == ("failed", "trainer_error")
    assert row.error_detail == "unexpected KeyError in the trainer; see the job's log"
    assert any("KeyError: 'secret'" in event["message"] for event in job.events("log"))


def test_a_training_without_a_last_event_is_an_error(job: ClaimedJob, settings: Settings) -> None:
    assert run_attempt(job.attempt, StopRequests(), settings, lambda *_, **__: iter([Started({})])) == EXIT_DONE
    assert (job.row.state, job.row.error_code) == ("failed", "trainer_error")


def test_a_stored_spec_that_is_not_valid_names_the_field(
    job: ClaimedJob, settings: Settings, spec: dict[str, Any]
) -> None:
    broken = ClaimedJob(job.database, spec | {"seed": -1})
    assert run(broken, settings, Training()) == EXIT_DONE
    assert (broken.row.state, broken.row.error_code) == ("failed", "invalid_spec")
    assert "seed" in (broken.row.error_detail or "")


def test_an_attempt_that_was_taken_over_ends_without_a_word(job: ClaimedJob, settings: Settings) -> None:
    def take_over() -> None:
        job.attempt.abandon("thought dead")
        job.claim()

    assert run(job, settings, Training(at={5: take_over})) == EXIT_SUPERSEDED
    assert (job.row.state, job.row.attempt) == ("running", 2)


def test_warnings_of_libraries_go_to_the_jobs_log(job: ClaimedJob, settings: Settings) -> None:
    def warn() -> None:
        logging.getLogger("some.library").warning("odd data")
        logging.getLogger("some.library").info("chatter")
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            logging.captureWarnings(True)
            warnings.warn("deprecated thing", UserWarning, stacklevel=1)

    run(job, settings, Training(at={2: warn}))
    messages = [event["message"] for event in job.events("log") if event["level"] == "warning"]
    assert messages[0] == "some.library: odd data"
    assert "deprecated thing" in messages[1]
    assert len(messages) == 2


def test_wrong_arguments_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["job_1"]) == EXIT_USAGE
    assert "usage" in capsys.readouterr().err
