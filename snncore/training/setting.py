"""What the parts of a run share."""

from __future__ import annotations

import torch

from snncore import datasets, spec
from snncore.events import Split
from snncore.tasks import make_task
from snncore.training.environment import choose_device
from snncore.training.interruptions import Interruptions


class Setting:
    """A whole job, its samples and task, where it runs, and when it has to stop."""

    def __init__(self, job: spec.JobSpec, interruptions: Interruptions, *, seed_protocol: bool) -> None:
        self.job = job
        self.interruptions = interruptions
        self.device = choose_device(job.device)
        self.dtype = torch.float32 if job.training.precision == "float32" else torch.float64
        self.data = datasets.load(job.dataset, job.seed)
        self.selecting: Split = "test" if seed_protocol else "validation"
        """The split that takes the part of the validation split."""
        self.selects = len(getattr(self.data, self.selecting)) > 0
        self.task = make_task(job)
