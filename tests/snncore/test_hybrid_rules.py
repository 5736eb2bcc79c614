"""Specs of networks of layers in sequence that cannot work: each refusal names its field."""

from __future__ import annotations

from typing import Any

import pytest

from snncore.spec import SpecError, deep_merge, parse_job_spec, warnings_about
from tests.snncore.hybrid_cases import LIF, UNIT, dense, sequential, spiking
from tests.snncore.jobs import tiny_job

FIRST = "architecture.layers.0"
IMAGES: dict[str, Any] = {
    "kind": "image_folder",
    "folder": "pictures",
    "n_classes": 2,
    "n_train": 512,
    "n_validation": 16,
    "n_test": 16,
    "height": 4,
    "width": 6,
}
COLUMNS = {"kind": "direct", "duration_ms": 6.0, "frames": 6, "scan": "columns"}
CHANNEL = {**UNIT, "sharing": "channel"}
ON_IMAGES: dict[str, Any] = {"dataset": IMAGES, "encoding": COLUMNS}


def problems(layers: list[dict[str, Any]], readout: dict[str, Any] | str = "leaky", **parts: Any) -> dict[str, str]:
    """What is said of each field; nothing of a spec that is understood."""
    form = {"kind": readout} if isinstance(readout, str) else readout
    document = tiny_job(**{**sequential(layers, form), **parts})
    try:
        parse_job_spec(document)
    except SpecError as error:
        return {".".join(map(str, problem.loc)): problem.msg for problem in error.problems}
    return {}


def unit(**fields: Any) -> list[dict[str, Any]]:
    return [spiking({**UNIT, **fields})]


def test_spiking_layers_have_a_neuron_of_their_own_or_that_of_the_job() -> None:
    assert problems([spiking(LIF)]) == {}
    assert problems([spiking()], neuron=LIF) == {}
    assert "is missing" in problems([spiking()])["neuron"]
    assert "is missing" in problems([spiking(LIF)], "spike_count")["neuron"]  # the outputs have none of their own
    assert problems([spiking(LIF)], "spike_count", neuron=LIF) == {}
    assert "has no effect" in problems([spiking(LIF)], neuron=LIF)["neuron"]
    assert "has no effect" in problems([dense(3)], neuron=LIF)["neuron"]
    for architecture in ({"kind": "recurrent", "n_hidden": 4}, {"kind": "feedforward", "layers": [4]}):
        document = tiny_job(architecture={**architecture, "readout": {"kind": "leaky"}}, neuron=None)
        with pytest.raises(SpecError, match=r"^neuron: is missing"):
            parse_job_spec(document)


def test_weights_of_a_channel_belong_to_units_that_see_unmixed_channels() -> None:
    assert problems([spiking(CHANNEL), dense(4)], **ON_IMAGES) == {}
    assert problems([{"kind": "dropout", "rate": 0.1}, {"kind": "peephole_lstm"}, spiking(CHANNEL)], **ON_IMAGES) == {}
    for mixing in (dense(12), {"kind": "lstm", "n_units": 12}):
        assert problems([mixing, spiking(CHANNEL)], **ON_IMAGES).keys() == {"architecture.layers.1.neuron.sharing"}
    assert problems([dense(12), spiking()], **ON_IMAGES, neuron=CHANNEL).keys() == {"neuron.sharing"}
    assert problems([spiking()], "spike_count", **ON_IMAGES, neuron=CHANNEL).keys() == {"neuron.sharing"}
    document = tiny_job(**ON_IMAGES, neuron=CHANNEL)  # a recurrent population is mixed
    with pytest.raises(SpecError, match=r"neuron\.sharing: 'channel' needs an architecture 'sequential'"):
        parse_job_spec(document)


def test_weights_of_a_channel_need_images_whose_frames_hold_whole_pixels() -> None:
    exponential = {
        "task": {"kind": "softmax", "n_outputs": 4},
        "dataset": {"kind": "exponential", "n_features": 4, "n_train": 512},
    }
    found = problems([spiking(CHANNEL)], **exponential)
    assert "needs a dataset of images" in found[f"{FIRST}.neuron.sharing"]
    pixel_by_pixel = {"kind": "direct", "duration_ms": 24.0, "frames": 24}
    assert problems([spiking(CHANNEL)], dataset=IMAGES, encoding=pixel_by_pixel) == {}
    channel_by_channel = {"kind": "direct", "duration_ms": 72.0, "frames": 72}
    found = problems([spiking(CHANNEL)], dataset=IMAGES, encoding=channel_by_channel)
    assert "scan the image" in found[f"{FIRST}.neuron.sharing"]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"w_input": 0.0}, "w_input"),
        ({"w_input": {"low": 0.0, "high": 0.0}}, "w_input"),
        ({"w_input": {"low": 0.5, "high": 0.4}}, "w_input.high"),
        ({"w_leak": -0.1}, "w_leak"),
        ({"w_leak": {"low": 0.5, "high": 1.1}}, "w_leak"),
        ({"w_leak": {"low": 0.5, "high": 0.1}}, "w_leak.high"),
    ],
)
def test_initial_weights_of_units_that_cannot_work_are_named(fields: dict[str, Any], place: str) -> None:
    assert problems(unit(**fields)).keys() == {f"{FIRST}.neuron.{place}"}
    (said,) = problems([spiking()], neuron={**UNIT, **fields})
    assert said == f"neuron.{place}"


def test_a_range_may_cross_zero_where_a_number_must_not_be_zero() -> None:
    assert problems(unit(w_input={"low": -0.5, "high": 0.5})) == {}
    assert problems(unit(w_leak={"low": 0.0, "high": 1.0})) == {}


@pytest.mark.parametrize(
    ("delay", "place"),
    [
        ({"kind": "constant", "steps": 0}, "steps"),
        ({"kind": "uniform", "low": 0, "high": 2}, "low"),
        ({"kind": "uniform", "low": 3, "high": 2}, "high"),
        ({"kind": "constant", "steps": 10}, "steps"),
    ],
)
def test_a_recurrent_delay_lies_between_one_step_and_the_presentation(delay: dict[str, Any], place: str) -> None:
    layers = [dense(4), spiking(LIF, delay=delay)]
    assert problems(layers).keys() == {f"architecture.layers.1.recurrence.delay.{place}"}


def test_a_mixed_layer_of_a_network_in_sequence_has_one_form_too() -> None:
    populations = [{"proportion": 1.0, "neuron": LIF}, {"proportion": 1.0, "neuron": {**LIF, "reset": "none"}}]
    found = problems([dense(4), spiking({"kind": "mixed", "populations": populations})])
    assert found.keys() == {"architecture.layers.1.neuron.populations.1.neuron.reset"}


def test_a_rate_regulariser_needs_a_layer_that_spikes() -> None:
    training = {"training": {"rate_regulariser": {"strength": 1.0}}}
    assert problems([dense(4)], **training).keys() == {"training.rate_regulariser"}
    assert problems([dense(4), spiking(LIF)], **training) == {}
    # that of outputs is not regulated
    assert problems([dense(4)], "spike_count", **training, neuron=LIF).keys() == {"training.rate_regulariser"}
    assert problems([dense(4), spiking()], **training).keys() == {"neuron"}


UNVALIDATED = {"dataset": {"validation_fraction": 0.0}}


@pytest.mark.parametrize(
    ("training", "place"),
    [
        ({}, "final_weights"),
        ({"final_weights": "last", "early_stopping": {"patience": 3}}, "early_stopping"),
        ({"final_weights": "last", "schedule": {"kind": "plateau", "split": "validation"}}, "schedule.split"),
    ],
)
def test_what_watches_a_validation_split_needs_one_or_the_protocol_of_the_seed(
    training: dict[str, Any], place: str
) -> None:
    assert problems([dense(4)], **UNVALIDATED, training=training).keys() == {f"training.{place}"}
    assert problems([dense(4)], training=training) == {}
    assert problems([dense(4)], **UNVALIDATED, training={**training, "seed_protocol": True}) == {}


def test_the_protocol_of_the_seed_goes_without_a_validation_split_and_is_warned_of() -> None:
    protocol = {"training": {"seed_protocol": True}}
    assert problems([dense(4)], **protocol).keys() == {"training.seed_protocol"}
    parts = deep_merge(sequential([dense(4)], {"kind": "leaky"}, **UNVALIDATED), protocol)
    assert any("seed_protocol" in warning for warning in warnings_about(parse_job_spec(tiny_job(**parts))))


@pytest.mark.parametrize("loss", ["rate_mse", "borders"])
def test_weights_are_chosen_by_the_probability_of_the_class_only_where_there_is_one(loss: str) -> None:
    training = {"training": {"selection": "true_label_probability"}}
    assert problems([dense(4)], **training) == {}
    found = problems([spiking(LIF)], "spike_count", neuron=LIF, task={"loss": loss}, **training)
    assert found.keys() == {"training.selection"}


@pytest.mark.parametrize("loss", ["rate_mse", "borders"])
@pytest.mark.parametrize("readout", ["every_step", "accumulator", "leaky"])
def test_losses_of_rates_need_spikes_that_are_counted(readout: str, loss: str) -> None:
    assert problems([dense(4)], readout, task={"loss": loss}).keys() == {"task.loss"}


@pytest.mark.parametrize("readout", ["every_step", "accumulator"])
def test_frames_that_have_a_class_of_their_own_need_a_readout_by_frame(readout: str) -> None:
    recall = {
        "task": {"kind": "recall"},
        "dataset": {"kind": "store_recall", "n_values": 2, "n_slots": 5},
        "encoding": {"duration_ms": 10.0, "frames": 5},
    }
    assert problems([dense(4)], readout, **recall).keys() == {"architecture.readout.reduction"}


def test_outputs_of_a_network_in_sequence_are_no_part_of_a_recurrent_population() -> None:
    found = problems([dense(4)], {"kind": "spike_count", "recurrent": True}, neuron=LIF)
    assert found.keys() == {"architecture.readout.recurrent"}


@pytest.mark.parametrize("parts", [{"neuron": {**LIF, "smoothing": {}}}, {"neuron": {**UNIT, "smoothing": {}}}])
def test_smoothed_neurons_need_the_reference_engine(parts: dict[str, Any]) -> None:
    assert problems([spiking()], **parts, training={"engine": "reference"}) == {}
    assert problems([spiking()], **parts).keys() == {"neuron.smoothing"}
    own = problems([spiking(parts["neuron"])], training={"engine": "fused"})
    assert own.keys() == {"architecture.layers.0.neuron.smoothing"}
    with pytest.raises(SpecError, match=r"^neuron\.smoothing: .*training.engine 'reference'"):
        parse_job_spec(tiny_job(**parts))
