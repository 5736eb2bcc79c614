"""Training by a gradient: what moves the weights, how fast, for how long, and which of them are kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.base import Part


class Adam(Part):
    """Adam (Kingma & Ba 2015), and AMSGrad (Reddi et al. 2018)."""

    kind: Literal["adam"]
    learning_rate: float = Field(default=1e-3, gt=0, le=100)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    eps: float = Field(default=1e-8, gt=0, le=1)
    weight_decay: float = Field(default=0.0, ge=0, le=10)
    decay: Literal["decoupled", "l2"] = Field(
        default="decoupled",
        description="Whether the weight decay is apart from the gradient (AdamW, Loshchilov & Hutter 2019), or added "
        "to it before its moments are taken, which is what torch.optim.Adam does.",
    )
    amsgrad: bool = Field(default=False, description="Whether the second moment is the largest so far.")


class ConstantRate(Part):
    """The learning rate stays as it is."""

    kind: Literal["constant"]


class StepDecay(Part):
    """The learning rate is multiplied by `factor` after every `every_epochs` epochs."""

    kind: Literal["step"]
    factor: float = Field(gt=0, le=1)
    every_epochs: int = Field(ge=1, le=1_000_000)


class CosineDecay(Part):
    """After a linear warm-up the learning rate falls along half a cosine, to `final_fraction` of itself, and where
    `fall_epochs` leaves time, rises and falls again."""

    kind: Literal["cosine"]
    final_fraction: float = Field(default=0.0, ge=0, le=1)
    warmup_steps: int = Field(default=0, ge=0, le=100_000_000)
    fall_epochs: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="How long the fall takes, as T_max of torch's CosineAnnealingLR, but moving at every step; absent: "
        "until the end of the training.",
    )


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


class GradientDescent(Part):
    """What all trainings by a gradient have."""

    epochs: int = Field(ge=1, le=1_000_000)
    batch_size: int = Field(ge=1, le=65_536)
    optimiser: Annotated[Adam, Field(description="kind: adam")] = Adam(kind="adam")
    schedule: Schedule = ConstantRate(kind="constant")
    gradient_clip_norm: float | None = Field(
        default=None, gt=0, le=1e9, description="Largest norm of the whole gradient; absent: not clipped."
    )
    final_weights: Literal["best", "last"] = Field(
        default="best", description="What is tested at the end: the best by validation, or those of the last epoch."
    )
    selection: Literal["accuracy", "loss", "true_label_probability"] = Field(
        default="accuracy",
        description="What the best weights are the best by, on the validation split; the loss decides between equals.",
    )
    early_stopping: EarlyStopping | None = None


class WholeTraining(Part):
    """What there is once in a training, whatever its parts."""

    engine: Literal["auto", "fused", "reference"] = Field(
        default="auto",
        description="What runs the scan over time: 'fused' is compiled, 'reference' a plain loop under autograd, and "
        "'auto' is 'fused'. The result names the engine that ran.",
    )
    precision: Literal["float32", "float64"] = "float32"
    seed_protocol: bool = Field(
        default=False,
        description="Whether the test split takes the place of the validation split, as in papers that report the best "
        "epoch by the test split. The result is marked, since its test metrics are optimistic.",
    )
    checkpoint_every_epochs: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Keep a 'periodic' checkpoint every so many epochs."
    )
    log_every_steps: int = Field(default=10, ge=1, le=1_000_000, description="Distance of the points of batch series.")
