"""The process that trains: `python -m worker.trainer JOB ATTEMPT`, started by the supervisor.

It ends with the final state of its attempt written, or it dies, and the supervisor writes it. It stops, with a
checkpoint, when the job's row asks for it, at SIGTERM, and when the process that started it is gone.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from service.settings import Settings, get_settings
from service.store.attempt import Attempt
from service.store.engine import Database, retrying
from service.store.errors import AttemptSuperseded, StoreUnavailable
from snncore.errors import TrainingError
from snncore.events import Event
from snncore.spec import JobSpec, SpecError, needed_jobs, parse_job_spec, uploaded_sha256
from worker.recorder import Recorder
from worker.uploads import provide

EXIT_DONE = 0
EXIT_USAGE = 2
EXIT_SUPERSEDED = 3
EXIT_STORE_UNAVAILABLE = 4

Train = Callable[..., Iterator[Event]]

logger = logging.getLogger(__name__)


class StopRequests:
    """Everything that may ask a trainer to stop, as the one question that the training loop asks before each batch."""

    def __init__(self) -> None:
        self._leave = threading.Event()
        self.recorder: Recorder | None = None

    def __call__(self) -> str | None:
        # What the researcher asked for goes before a shutdown: the job would otherwise be queued again.
        state = "running" if self.recorder is None else self.recorder.state
        if state == "cancelling":
            return "cancel"
        if state == "pausing":
            return "pause"
        return "shutdown" if self._leave.is_set() else None

    def leave(self, *_: object) -> None:
        """Stop at the next batch and give the job back. Also a signal handler."""
        self._leave.set()

    def leave_with_parent(self, pipe: int) -> None:
        """Leave at the end of file on `pipe`, whose other end only the supervisor holds."""

        def watch() -> None:
            while os.read(pipe, 4096):
                pass
            self.leave()

        threading.Thread(target=watch, name="parent-watch", daemon=True).start()


class JobLogHandler(logging.Handler):
    """Warnings and errors of libraries go to the job's log, where the researcher sees them."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(logging.WARNING)
        self._recorder = recorder

    def emit(self, record: logging.LogRecord) -> None:
        self._recorder.log(
            "error" if record.levelno >= logging.ERROR else "warning", f"{record.name}: {record.getMessage()}"
        )


def run_attempt(attempt: Attempt, stop: StopRequests, settings: Settings, train: Train) -> int:
    """Train one attempt to its end, or as far as it may go. The exit code."""
    recorder = stop.recorder = Recorder(attempt, flush_s=settings.flush_s, patience_s=settings.store_patience_s)
    handler = JobLogHandler(recorder)
    logging.getLogger().addHandler(handler)
    logging.captureWarnings(True)
    try:
        spec_dict, checkpoint = retrying(attempt.load, settings.store_patience_s)
        try:
            spec = parse_job_spec(spec_dict)
            needed = needed_jobs(spec)
            networks = retrying(lambda: attempt.load_networks(needed), settings.store_patience_s) if needed else {}
            if (sha256 := uploaded_sha256(spec.dataset)) is not None:
                provide(attempt.db, sha256, settings.store_patience_s)
            train_recorded(spec, networks, checkpoint, stop, recorder, settings, train)
        except (AttemptSuperseded, StoreUnavailable):
            raise
        except TrainingError as error:
            recorder.log("error", str(error))
            recorder.fail(error.code, error.detail)
        except SpecError as error:
            recorder.fail("invalid_spec", f"the stored spec is not valid for this version: {error}")
        except MemoryError:
            recorder.fail("out_of_memory", "the trainer ran out of memory; use a smaller batch, network or duration")
        except Exception as error:
            for line in traceback.format_exc().splitlines():
                recorder.log("error", line)
            recorder.fail("trainer_error", f"unexpected {type(error).__name__} in the trainer; see the job's log")
    except AttemptSuperseded:
        logger.info("another attempt has taken over")
        return EXIT_SUPERSEDED
    except StoreUnavailable as error:
        print(f"the store stayed away for {settings.store_patience_s:.0f} s: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_STORE_UNAVAILABLE
    finally:
        logging.getLogger().removeHandler(handler)
        logging.captureWarnings(False)
    return EXIT_DONE


def train_recorded(
    spec: JobSpec,
    networks: Mapping[str, bytes],
    checkpoint: bytes | None,
    stop: StopRequests,
    recorder: Recorder,
    settings: Settings,
    train: Train,
) -> None:
    """Hand every event of the run to the recorder, up to the one that ends the attempt."""
    events = train(
        spec,
        networks=networks,
        resume=checkpoint,
        should_stop=stop,
        checkpoint_interval_s=settings.checkpoint_interval_s,
    )
    for event in events:
        recorder.handle(event)
        if recorder.ended:
            return
    raise RuntimeError("the training ended without a last event")


def snncore_train(*args: Any, **kwargs: Any) -> Iterator[Event]:
    """`snncore.train`, imported when it is needed: torch takes seconds, and much can be wrong before."""
    from snncore import train

    return train(*args, **kwargs)


def main(argv: list[str]) -> int:
    if len(argv) != 2 or not argv[1].isdigit():
        print("usage: python -m worker.trainer JOB ATTEMPT", file=sys.stderr)  # noqa: T201
        return EXIT_USAGE
    stop = StopRequests()
    signal.signal(signal.SIGTERM, stop.leave)
    stop.leave_with_parent(sys.stdin.fileno())

    settings = get_settings()
    database = Database(settings.resolved_database_url, busy_timeout_ms=settings.busy_timeout_ms)
    try:
        return run_attempt(Attempt(database, argv[0], int(argv[1])), stop, settings, snncore_train)
    finally:
        database.close()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is written. Taking the interpreter with torch in it apart takes more than a second, in which the slot
    # would stand idle, and a driver that crashes then would look like a crash of the job.
    os._exit(code)
