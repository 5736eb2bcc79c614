"""Images on their way through layers: what is refused and where, and counts made by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from snncore import spec
from snncore.networks import make_network
from snncore.spec import estimate, layer_shapes, parse_job_spec
from tests.snncore.hybrid_cases import CPU, dense, sequential
from tests.snncore.image_cases import DIET, IMAGE, POOL, RELU, conv, dropout, lif, residual
from tests.snncore.jobs import tiny_job, tiny_spec
from tests.snncore.test_hybrid_rules import problems as problems_of_readout

FIRST, SECOND = "architecture.layers.0", "architecture.layers.1"
COLUMNS = {"kind": "direct", "duration_ms": 8.0, "frames": 8, "scan": "columns"}
SEQUENCES = {
    "task": {"kind": "recall"},
    "dataset": {"kind": "store_recall", "n_values": 3, "n_slots": 5},
    "encoding": {"kind": "poisson", "duration_ms": 10.0, "frames": 5},
}


def problems(*layers: dict[str, Any], **parts: Any) -> dict[str, str]:
    return problems_of_readout(list(layers), "accumulator", **{"encoding": IMAGE, **parts})


def test_layers_of_images_are_understood_where_there_are_images() -> None:
    assert problems(conv(4), lif(), POOL, conv(4, padding=0), lif(), dense(4)) == {}
    assert problems(dropout("constant"), POOL, conv(3), RELU) == {}


@pytest.mark.parametrize("layer", [conv(4), POOL])
@pytest.mark.parametrize("mixing", [dense(64), {"kind": "lstm", "n_units": 64}])
def test_an_image_is_gone_behind_layers_that_mix_it(layer: dict[str, Any], mixing: dict[str, Any]) -> None:
    found = problems(mixing, layer)
    assert found.keys() == {f"{SECOND}.kind"}
    assert f"the layer {mixing['kind']!r} before it" in found[f"{SECOND}.kind"]


def test_images_in_parts_are_none() -> None:
    found = problems(conv(4), encoding=COLUMNS)
    assert "in 8 frames" in found[f"{FIRST}.kind"]
    by_frame = {"kind": "leaky", "reduction": "mean_by_frame"}
    found = problems_of_readout([conv(4), lif()], by_frame, **SEQUENCES)
    assert "no rows and columns" in found[f"{FIRST}.kind"]


@pytest.mark.parametrize(("kind", "known"), [("nmnist", True), ("dvs_gesture", True), ("shd", False)])
def test_events_are_images_where_their_sensor_has_rows_and_columns(kind: str, known: bool) -> None:
    events = {"encoding": {"kind": "events", "duration_ms": 50.0}}
    document = tiny_job(**sequential([conv(2), lif()], {"kind": "accumulator"}))
    document |= {"dataset": {"kind": kind}, **events}
    if known:
        job = parse_job_spec(document)
        assert spec.input_shape(job).image == job.dataset.addresses  # type: ignore[union-attr]
        return
    with pytest.raises(spec.SpecError, match=r"layers\.0\.kind: .*no rows and columns"):
        parse_job_spec(document)


@pytest.mark.parametrize(
    ("layer", "field", "said"),
    [
        (conv(2, kernel=9, padding=0), "kernel", "8 x 8"),
        (conv(2, kernel=12, padding=1), "kernel", "8 x 8"),
        (conv(2, kernel=4), "padding", "odd kernel"),
        (conv(2, kernel=3, padding=3), "padding", "less than the kernel"),
        ({**POOL, "size": 3}, "size", "8 x 8"),
        ({**POOL, "size": 16}, "size", "8 x 8"),
        (conv(0), "channels", ""),
        (conv(2, stride=0), "stride", ""),
        (conv(2, padding="valid"), "padding", ""),
    ],
)
def test_what_finds_no_place_on_the_image_is_named(layer: dict[str, Any], field: str, said: str) -> None:
    found = problems(layer)
    (place,) = found
    assert place.startswith(f"{FIRST}.{field}")
    assert said in found[place]


def test_both_ways_through_a_residual_layer_come_to_one_shape() -> None:
    strided, beside = [conv(4, stride=2), lif(), conv(4)], [conv(4, kernel=1, stride=2, padding=0)]
    assert problems(conv(4), residual([conv(4), lif(), conv(4)])) == {}
    assert problems(conv(2), residual(strided, beside)) == {}
    found = problems(conv(2), residual(strided))
    assert found.keys() == {f"{SECOND}.shortcut"}
    assert "8 x 8 pixels of 2 channels" in found[f"{SECOND}.shortcut"]
    assert "4 x 4 pixels of 4 channels" in found[f"{SECOND}.shortcut"]
    assert problems(dense(6), residual([dense(5), lif(), dense(6)])) == {}
    assert problems(dense(6), residual([dense(5)])).keys() == {f"{SECOND}.shortcut"}


def test_problems_inside_of_a_residual_layer_are_named_with_their_place() -> None:
    assert problems(residual([dense(3), conv(2)])).keys() == {f"{FIRST}.layers.1.kind"}
    assert problems(residual([conv(1)], [conv(1, kernel=2)])).keys() == {f"{FIRST}.shortcut.0.padding"}
    unset = residual([conv(1), {"kind": "spiking"}])
    assert problems(unset).keys() == {"neuron"}
    bad = {"kind": "lif", "v_reset": 5.0}
    assert f"{FIRST}.layers.1.neuron.v_reset" in problems(residual([conv(1), lif(bad)]))
    late = {**lif(), "recurrence": {"delay": {"kind": "constant", "steps": 0}}}
    assert problems(residual([conv(1), late])).keys() == {f"{FIRST}.layers.1.recurrence.delay.steps"}
    assert problems(residual([residual([conv(1)])])).keys() == {f"{FIRST}.layers.0.kind"}


def mnist(*layers: dict[str, Any], **dataset: Any) -> spec.JobSpec:
    document = tiny_job(**sequential(list(layers), {"kind": "accumulator", "bias": False}, encoding=IMAGE))
    document |= {"dataset": {"kind": "mnist"}, "neuron": DIET}
    return parse_job_spec(document)


BARE: dict[str, Any] = {"bias": False}
SPIKING = {"kind": "spiking"}


def counted(job: spec.JobSpec) -> int:
    return sum(p.numel() for p in make_network(job, CPU).parameters() if p.requires_grad)


def test_vgg4_of_mnist_has_the_counts_made_by_hand() -> None:
    job = mnist(
        conv(64, **BARE), SPIKING, POOL, conv(128, **BARE), SPIKING, POOL, dense(1024, **BARE), SPIKING
    )  # fmt: skip
    weights = 9 * 64 + 9 * 64 * 128 + 7 * 7 * 128 * 1024 + 1024 * 10
    assert estimate(job).parameters == counted(job) == weights + 3 * 2
    # a 3 x 3 kernel reaches 3 n - 2 pairs of pixels along a side of n
    products = [82**2 * 64, 40**2 * 64 * 128, 7 * 7 * 128 * 1024, 1024 * 10]
    assert [shape.synapses for shape in layer_shapes(job) if shape.synapses] == products
    assert [shape.n_neurons for shape in layer_shapes(job) if shape.neuron] == [28 * 28 * 64, 14 * 14 * 128, 1024]
    presented = 3 * 55_000 + 5_000 + 10_000
    assert estimate(job).flops == 2 * presented * (products[0] + 4 * sum(products[1:]))


def block(channels: int, stride: int = 1) -> list[dict[str, Any]]:
    """Two convolutions, what came before added, and neurons."""
    inner = [conv(channels, stride=stride, **BARE), SPIKING, dropout("constant"), conv(channels, **BARE)]
    beside = [conv(channels, kernel=1, stride=stride, **BARE)] if stride > 1 else []
    return [residual(inner, beside), SPIKING]


def test_resnet20_has_the_counts_made_by_hand() -> None:
    stem = [layer for _ in range(3) for layer in (conv(16, **BARE), SPIKING)]
    kinds = [(16, 1), (16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1)]
    blocks = [layer for channels, stride in kinds for layer in block(channels, stride)]
    document = tiny_job(
        **sequential([*stem, *blocks, {**POOL, "size": 8}], {"kind": "accumulator", "bias": False}, encoding=IMAGE)
    )
    pictures = {"kind": "image_folder", "folder": "pictures", "n_classes": 10, "height": 32, "width": 32}
    document |= {"dataset": {**pictures, "n_train": 500, "n_validation": 10, "n_test": 10}, "neuron": DIET}
    job = parse_job_spec(document)
    weights = 9 * 3 * 16 + 2 * 9 * 16 * 16
    weights += 6 * 9 * 16 * 16
    weights += 9 * 16 * 32 + 5 * 9 * 32 * 32 + 16 * 32
    weights += 9 * 32 * 64 + 5 * 9 * 64 * 64 + 32 * 64
    weights += 64 * 10
    n_spiking = 3 + 2 * 9
    assert estimate(job).parameters == counted(job) == weights + 2 * n_spiking
    assert len(make_network(job, CPU).neuron_parameters()) == 2 * n_spiking
    shown = torch.rand(4, 1, 32 * 32 * 3, dtype=torch.float64, device=CPU)
    assert make_network(job, CPU)(shown).reading.values.shape == (1, 1, 10)


def test_only_what_comes_before_the_first_neurons_is_gone_through_once() -> None:
    layers = [conv(2), POOL, conv(2), lif(), conv(2)]
    shapes = layer_shapes(tiny_spec(**sequential(layers, {"kind": "accumulator"}, encoding=IMAGE)))
    assert [shape.steady for shape in shapes if shape.synapses] == [True, True, False, False]
    spikes = {"kind": "poisson", "duration_ms": 4.0}
    shapes = layer_shapes(tiny_spec(**sequential(layers, {"kind": "accumulator"}, encoding=spikes)))
    assert not any(shape.steady for shape in shapes)
