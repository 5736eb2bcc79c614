"""What follows the last epoch: the chosen weights are tested."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

from snncore import spec
from snncore.events import Event, Stopped
from snncore.training.descent import Descent
from snncore.training.environment import describe
from snncore.training.evaluation import Evaluation
from snncore.training.result import confusion_matrix, cost, firing, split_metrics
from snncore.training.telling import rasters


class Tested(NamedTuple):
    """What the chosen weights came to on the validation split, where there is one, and on the test split."""

    validation: Evaluation | None
    test: Evaluation


def tested(descent: Descent) -> Generator[Event, None, Tested | None]:
    """Save the run, give the network the weights that were chosen and test them; None where the run had to stop."""
    if not descent.best:
        descent.best, descent.unsaved_best = descent.weights(), True
        descent.position.best_epoch = descent.position.epoch - 1
    yield from descent.checkpoint()
    if descent.training.final_weights == "best":
        descent.network.load_state_dict(descent.best)
    has_validation = len(descent.setting.data.validation) > 0
    validation = descent.evaluate("validation", 0) if has_validation else None
    recording = descent.job.recording
    test = descent.evaluate("test", recording.n_samples if isinstance(recording, spec.RecordSpikes) else 0)
    if test is None or (has_validation and validation is None):
        assert descent.interruptions.reason is not None
        yield Stopped(descent.interruptions.reason)
        return None
    last = descent.position.epoch - 1
    yield from descent.split_series("test", test.tally, epoch=last)
    yield from rasters(descent.job, "test", test, step=descent.step, epoch=last)
    return Tested(validation, test)


def result(descent: Descent, found: Tested) -> dict[str, Any]:
    """What a finished run says of itself, when the descent was its last part."""
    job, setting, training = descent.job, descent.setting, descent.training
    return {
        "metrics": split_metrics(descent.position.train, found.validation, found.test),
        "confusion_matrix": confusion_matrix(job, found.test),
        "firing": firing(job, found.test),
        "cost": cost(job, descent.network, found.test, descent.n_trained, descent.interruptions.elapsed_s),
        "environment": describe(job, setting.device, descent.network.engine.name),
        "weights": {"kind": training.final_weights, "epoch": descent.position.best_epoch},
        "epochs": descent.position.epoch - 1,
        "seed_protocol": training.seed_protocol,
    }
