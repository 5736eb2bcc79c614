"""How the network is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.base import Part
from snncore.spec.pools import TeacherSTDP
from snncore.spec.rewiring import DeepR
from snncore.spec.stdp import STDP


class Adam(Part):
    """Adam (Kingma & Ba 2015); `weight_decay` is decoupled (Loshchilov & Hutter 2019)."""

    kind: Literal["adam"]
    learning_rate: float = Field(default=1e-3, gt=0, le=100)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    eps: float = Field(default=1e-8, gt=0, le=1)
    weight_decay: float = Field(default=0.0, ge=0, le=10)


class ConstantRate(Part):
    """The learning rate stays as it is."""

    kind: Literal["constant"]


class StepDecay(Part):
    """The learning rate is multiplied by `factor` after every `every_epochs` epochs."""

    kind: Literal["step"]
    factor: float = Field(gt=0, le=1)
    every_epochs: int = Field(ge=1, le=1_000_000)


class CosineDecay(Part):
    """After a linear warm-up the learning rate falls along half a cosine, to `final_fraction` of itself."""

    kind: Literal["cosine"]
    final_fraction: float = Field(default=0.0, ge=0, le=1)
    warmup_steps: int = Field(default=0, ge=0, le=100_000_000)


class PlateauDecay(Part):
    """The learning rate is multiplied by `factor` after `patience` epochs in which the accuracy of a split has not
    risen by more than `min_delta` above its best."""

    kind: Literal["plateau"]
    factor: float = Field(default=0.1, gt=0, lt=1)
    patience: int = Field(default=7, ge=1, le=1_000_000)
    min_delta: float = Field(default=1e-4, ge=0, le=1)
    split: Literal["train", "validation"] = "train"


class EarlyStopping(Part):
    """Ends the training after `patience` epochs without a better validation split, by `training.selection`."""

    patience: int = Field(ge=1, le=1_000_000)


Schedule = Annotated[ConstantRate | StepDecay | CosineDecay | PlateauDecay, Field(discriminator="kind")]


class RateRegulariser(Part):
    """Adds `strength * mean over hidden neurons of (target - rate)**2`, rates in kHz (Renner 2020, eq. 4.10)."""

    target_hz: float = Field(default=50.0, ge=0, le=1e5)
    strength: float = Field(ge=0, le=1e9)


class FullBackward(Part):
    """The potential of every step is kept for the way back."""

    kind: Literal["full"]


class CheckpointedBackward(Part):
    """The same gradient from less memory: the state of every `every_steps`-th step is kept, and the steps in between
    are run again on the way back (Chen et al. 2016). About the square root of the steps takes the least memory."""

    kind: Literal["checkpointed"]
    every_steps: int = Field(ge=1, le=100_000)


class TruncatedBackward(Part):
    """Windows of `window_steps`: no gradient passes from one to the one before through the neurons' state or the
    recurrent spikes (Williams & Peng 1990). Takes the memory of 'checkpointed', and computes another gradient."""

    kind: Literal["truncated"]
    window_steps: int = Field(ge=1, le=100_000)


Backward = Annotated[FullBackward | CheckpointedBackward | TruncatedBackward, Field(discriminator="kind")]


class BPTT(Part):
    """Backpropagation through time with surrogate gradients."""

    kind: Literal["bptt"]
    epochs: int = Field(ge=1, le=1_000_000)
    batch_size: int = Field(ge=1, le=65_536)
    optimiser: Annotated[Adam, Field(description="kind: adam")] = Adam(kind="adam")
    schedule: Schedule = ConstantRate(kind="constant")
    gradient_clip_norm: float | None = Field(
        default=None, gt=0, le=1e9, description="Largest norm of the whole gradient; absent: not clipped."
    )
    rate_regulariser: RateRegulariser | None = None
    rewiring: DeepR | None = Field(default=None, description="kind: deep_r; absent: every synapse exists.")
    engine: Literal["auto", "fused", "reference"] = Field(
        default="auto",
        description="What runs the scan over time: 'fused' is compiled, 'reference' a plain loop under autograd, and "
        "'auto' is 'fused'. The result names the engine that ran.",
    )
    backward: Backward = Field(
        default=FullBackward(kind="full"), description="How the gradient goes back through time."
    )
    precision: Literal["float32", "float64"] = "float32"
    final_weights: Literal["best", "last"] = Field(
        default="best", description="What is tested at the end: the best by validation, or those of the last epoch."
    )
    selection: Literal["accuracy", "loss", "true_label_probability"] = Field(
        default="accuracy",
        description="What the best weights are the best by, on the validation split; the loss decides between equals.",
    )
    early_stopping: EarlyStopping | None = None
    seed_protocol: bool = Field(
        default=False,
        description="Whether the test split takes the place of the validation split, as in papers that report the best "
        "epoch by the test split. The result is marked, since its test metrics are optimistic.",
    )
    checkpoint_every_epochs: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Keep a 'periodic' checkpoint every so many epochs."
    )
    log_every_steps: int = Field(default=10, ge=1, le=1_000_000, description="Distance of the points of batch series.")


Training = Annotated[BPTT | STDP | TeacherSTDP, Field(discriminator="kind")]
