"""What can go wrong with a run, as opposed to what can be wrong with a spec (`snncore.spec.SpecError`)."""

from __future__ import annotations


class TrainingError(Exception):
    """A run that cannot go on. `code` is stable and short; `detail` says what happened and what to do."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class DeviceUnavailable(TrainingError):
    """The spec asks for a device that this machine does not have."""

    def __init__(self, detail: str) -> None:
        super().__init__("device_unavailable", detail)


class EngineUnavailable(TrainingError):
    """The spec asks for an engine that this installation does not have."""

    def __init__(self, detail: str) -> None:
        super().__init__("engine_unavailable", detail)


class DatasetUnavailable(TrainingError):
    """The data can be neither found nor downloaded, or what was found is not what it should be."""

    def __init__(self, detail: str) -> None:
        super().__init__("dataset_unavailable", detail)


class NetworkUnavailable(TrainingError):
    """The network of another job, which this one embeds, was not given, or is not the one that the spec describes."""

    def __init__(self, detail: str) -> None:
        super().__init__("network_unavailable", detail)


class Diverged(TrainingError):
    """The loss or a gradient is not finite any more."""

    def __init__(self, detail: str) -> None:
        super().__init__("diverged", detail)


class ConversionFailed(TrainingError):
    """A trained network of which no spiking one can be made."""

    def __init__(self, detail: str) -> None:
        super().__init__("conversion_failed", detail)


class OutOfMemory(TrainingError):
    """The device has not the memory that the run needs."""

    def __init__(self, detail: str) -> None:
        super().__init__("out_of_memory", detail)


class CheckpointMismatch(TrainingError):
    """The checkpoint to resume from belongs to another spec, or is damaged."""

    def __init__(self, detail: str) -> None:
        super().__init__("checkpoint_mismatch", detail)
