"""Training runs as streams of events, whatever the way of learning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch

from snncore import spec
from snncore.errors import OutOfMemory
from snncore.events import Event
from snncore.plasticity.run import CompetitionRun
from snncore.plasticity.teaching import TeacherRun
from snncore.training.bptt import BackpropagationRun
from snncore.training.diet import DietRun
from snncore.training.interruptions import Interruptions


def train(
    job: spec.JobSpec,
    *,
    networks: Mapping[str, bytes] | None = None,
    resume: bytes | None = None,
    should_stop: Callable[[], str | None] = lambda: None,
    checkpoint_interval_s: float = 60.0,
) -> Iterator[Event]:
    """Train the network that `job` describes, from the start or from the `last` checkpoint in `resume`.

    `networks` holds a checkpoint of each job in `snncore.spec.needed_jobs(job)`, by its name.

    `should_stop` is asked before each batch; once it gives a reason, the run leaves a `last` checkpoint and ends with
    `Stopped`. A `last` checkpoint (and `best`, if it changed) is also yielded about every `checkpoint_interval_s` of
    wall time, between two batches. Neither touches the numbers: an interrupted and resumed run comes to the same bits
    as one that was left alone, on the same machine and number of threads. Closing the generator stops the training.

    Raises `snncore.errors.TrainingError`.
    """
    try:
        yield from _events(job, networks or {}, resume, Interruptions(should_stop, checkpoint_interval_s))
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        needed = spec.estimate(job).peak_memory_bytes / 2**30
        raise OutOfMemory(
            f"the run needs about {needed:.1f} GiB and did not get it; lower training.batch_size, "
            "encoding.duration_ms or the number of neurons"
        ) from error


def _events(
    job: spec.JobSpec, networks: Mapping[str, bytes], resume: bytes | None, interruptions: Interruptions
) -> Iterator[Event]:
    """The run that the training of the job is."""
    match job.training:
        case spec.STDP():
            yield from CompetitionRun(job, resume, interruptions).events()
        case spec.BPTT():
            yield from BackpropagationRun(job, networks, resume, interruptions).events()
        case spec.TeacherSTDP():
            yield from TeacherRun(job, resume, interruptions).events()
        case spec.Diet():
            yield from DietRun(job, resume, interruptions).events()


def _is_out_of_memory(error: Exception) -> bool:
    """torch has a type for it on GPUs only; its CPU allocator raises a plain RuntimeError."""
    on_cpu = "can't allocate memory" in str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or on_cpu
