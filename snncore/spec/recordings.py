"""Recordings of events to train on."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from snncore.spec.base import Part


class EventRecordings(Part):
    """Recordings of sensors that report events, each at a time and an address, which is a place and a polarity.

    They are had through the package tonic (`pip install 'spikesmith[events]'`). The training recordings come ordered by
    class and are shuffled; the validation set is the end of that order. So are the test recordings.
    """

    sensor: ClassVar[tuple[int, int, int]]
    """Height, width and polarities of the sensor."""
    recorded: ClassVar[int]
    """Recordings that there are for training and validation."""

    n_train: int
    n_validation: int
    n_test: int
    split_seed: int = Field(default=0, ge=0, lt=2**63, description="Which samples go where; apart from the job's seed.")

    @property
    def addresses(self) -> tuple[int, int, int]:
        """Rows, columns and polarities of the input neurons, in this order."""
        return self.sensor


class NMNIST(EventRecordings):
    """The 70,000 MNIST digits as an event camera saw them in three movements of 100 ms (Orchard et al. 2015)."""

    sensor = (34, 34, 2)
    recorded = 60_000

    kind: Literal["nmnist"]
    n_train: int = Field(default=55_000, ge=1, le=60_000)
    n_validation: int = Field(default=5_000, ge=0, le=59_999)
    n_test: int = Field(default=10_000, ge=1, le=10_000)
    pooling: Literal[1, 2] = Field(default=1, description="Blocks of so many pixels squared share an input neuron.")

    @property
    def addresses(self) -> tuple[int, int, int]:
        return _pooled(self.sensor, self.pooling)


class SHD(EventRecordings):
    """Spoken digits in English and German as spikes of 700 neurons of a model of the inner ear, of about a second
    (Cramer et al. 2020). The test set has speakers that the training set has not."""

    sensor = (1, 700, 1)
    recorded = 8_156

    kind: Literal["shd"]
    n_train: int = Field(default=7_156, ge=1, le=8_156)
    n_validation: int = Field(default=1_000, ge=0, le=8_155)
    n_test: int = Field(default=2_264, ge=1, le=2_264)


class DVSGesture(EventRecordings):
    """Eleven gestures of hands and arms that an event camera saw for about six seconds (Amir et al. 2017)."""

    sensor = (128, 128, 2)
    recorded = 1_077

    kind: Literal["dvs_gesture"]
    n_train: int = Field(default=977, ge=1, le=1_077)
    n_validation: int = Field(default=100, ge=0, le=1_076)
    n_test: int = Field(default=264, ge=1, le=264)
    pooling: Literal[1, 2, 4, 8, 16] = Field(
        default=4, description="Blocks of so many pixels squared share an input neuron."
    )

    @property
    def addresses(self) -> tuple[int, int, int]:
        return _pooled(self.sensor, self.pooling)


def _pooled(sensor: tuple[int, int, int], side: int) -> tuple[int, int, int]:
    height, width, polarities = sensor
    return height // side, width // side, polarities
