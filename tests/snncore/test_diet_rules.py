"""What the training 'diet' asks of the rest of a spec, and what its optimisers can be told."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from snncore.spec import (
    Adam,
    Diet,
    JobSpec,
    SpecError,
    ann_twin,
    deep_merge,
    estimate,
    parse_job_spec,
    spiking_part,
    useful_threads,
)
from snncore.training.optimiser import learning_rate, make_adam, optimiser_tensors, restore_optimiser
from tests.snncore.diet_cases import LAYERS, SPIKING, conv, dense, diet_parts, diet_spec
from tests.snncore.jobs import TINY, tiny_spec


def problems(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        parse_job_spec(deep_merge(TINY, document))
    return {".".join(map(str, problem.loc)): problem.msg for problem in caught.value.problems}


def changed(**parts: Any) -> dict[str, Any]:
    return deep_merge(diet_parts(), parts)


ANN = {"epochs": 2, "batch_size": 256}
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "architecture.kind": (
        changed(architecture={"kind": "feedforward", "layers": [5], "readout": {"kind": "leaky"}}),
        "trains the architecture 'sequential'",
    ),
    "encoding.kind": (changed(encoding={"kind": "poisson", "duration_ms": 4.0}), "take 'direct'"),
    "encoding.frames": (changed(encoding={"frames": 4}), "must be 1"),
    "architecture.readout.kind": (
        changed(architecture={"readout": {"kind": "leaky", "bias": False}}),
        "take 'accumulator'",
    ),
    "architecture.readout.bias": (changed(architecture={"readout": {"bias": True}}), "must be false"),
    "architecture.readout.non_negative": (changed(architecture={"readout": {"non_negative": True}}), "must be false"),
    "architecture.layers.0.bias": (diet_parts([conv(4, bias=True), SPIKING]), "must be false"),
    "architecture.layers.2.activation": (
        diet_parts([conv(4), SPIKING, dense(5, activation="relu"), SPIKING]),
        "must be 'linear'",
    ),
    "architecture.layers.0.kind": (diet_parts([{"kind": "lstm", "n_units": 3}, SPIKING]), "converts no 'lstm'"),
    "architecture.layers.1.kind": (diet_parts([conv(4), {"kind": "relu"}, SPIKING]), "converts no 'relu'"),
    "architecture.layers.1.layers.0.bias": (
        diet_parts([conv(1), {"kind": "residual", "layers": [conv(1, bias=True)]}, SPIKING]),
        "must be false",
    ),
    "architecture.layers": ({**diet_parts([conv(4)]), "neuron": None}, "needs a spiking layer"),
    "architecture.layers.1.recurrence": (
        diet_parts([dense(4), {"kind": "spiking", "recurrence": {}}]),
        "leave it out",
    ),
    "neuron.kind": (changed(neuron={"kind": "lif"}), "take 'layer_lif'"),
    "neuron.leak": (changed(neuron={"leak": 0.9}), "begins with 1"),
    "neuron.v_threshold": (changed(neuron={"v_threshold": 0.5}), "comes from the conversion"),
    "architecture.layers.1.neuron.kind": (
        {**diet_parts([conv(4), {"kind": "spiking", "neuron": {"kind": "lif"}}]), "neuron": None},
        "take 'layer_lif'",
    ),
    "training.dropout_rate": (diet_parts([conv(4), SPIKING], dropout_rate=0.2), "no layer of the architecture"),
    "training.conversion.n_samples": (
        diet_parts(conversion={"n_samples": 5_000}),
        "must not exceed the 1258 training samples",
    ),
    "training.conversion.compared.1": (
        diet_parts(conversion={"n_samples": 9, "scaling_factor": 1, "compared": [{"steps": 5}, {"steps": 4}]}),
        "is tested already",
    ),
    "training.conversion.compared.0.n_samples": (
        diet_parts(conversion={"n_samples": 9, "compared": [{"steps": 5, "n_samples": 360}]}),
        "must not exceed the 359 test samples",
    ),
    "training.ann.batch_size": (diet_parts(ann={**ANN, "batch_size": 2_000}), "must not exceed the 1258"),
    "training.ann.schedule.warmup_steps": (
        diet_parts(ann={**ANN, "schedule": {"kind": "cosine", "warmup_steps": 10}}),
        "must be fewer than the 10 steps",
    ),
    "training.batch_size": (diet_parts(batch_size=2_000), "must not exceed the 1258"),
    "training.schedule.warmup_steps": (
        diet_parts(schedule={"kind": "cosine", "warmup_steps": 10}),
        "must be fewer than the 10 steps",
    ),
}


@pytest.mark.parametrize("field", CASES)
def test_what_cannot_be_trained_so_is_named_with_what_to_do(field: str) -> None:
    document, said = CASES[field]
    assert said in problems(document)[field]


def test_both_trainings_need_a_validation_split_where_they_choose_by_one() -> None:
    document = {**diet_parts(), "dataset": {"validation_fraction": 0.0}}
    assert {"training.final_weights", "training.ann.final_weights"} <= set(problems(document))


def test_the_parts_of_a_job_are_jobs_of_their_own() -> None:
    job = diet_spec(dropout_rate=0.1, engine="reference")
    twin, spiking = ann_twin(job), spiking_part(job)
    assert [layer.kind for layer in twin.architecture.layers] == [  # type: ignore[union-attr]
        "relu" if layer["kind"] == "spiking" else layer["kind"] for layer in LAYERS
    ]
    assert twin.encoding.n_steps == 1
    assert (twin.bptt.optimiser.amsgrad, spiking.bptt.optimiser.amsgrad) == (False, True)
    assert twin.bptt.engine == spiking.bptt.engine == "reference"
    for part in (twin, spiking):
        assert parse_job_spec(part.model_dump(mode="json")) == part


def test_presentations_of_more_steps_go_in_smaller_batches() -> None:
    job = diet_spec(batch_size=256)
    assert [spiking_part(job, n).bptt.batch_size for n in (2, 4, 8, 100, 5_000)] == [256, 256, 128, 10, 1]
    assert spiking_part(job, 100).encoding.n_steps == 100


def test_a_job_is_estimated_as_the_sum_of_both_trainings() -> None:
    job = diet_spec()
    found, twin, spiking = estimate(job), estimate(ann_twin(job)), estimate(spiking_part(job))
    assert found.steps == job.n_training_steps == twin.steps + spiking.steps
    assert found.flops == twin.flops + spiking.flops
    assert found.parameters == spiking.parameters == twin.parameters + 4  # leaks and thresholds of two layers
    assert found.peak_memory_bytes >= max(twin.peak_memory_bytes, spiking.peak_memory_bytes)
    assert useful_threads(job, 8) == useful_threads(spiking_part(job), 8)


def test_the_published_settings_can_be_written_down() -> None:
    """Both columns of the table in the documents: 300 epochs, AMSGrad, decay in the gradient, cosines of 64 and 128."""
    ann = {
        "epochs": 300,
        "batch_size": 128,
        "optimiser": {"kind": "adam", "learning_rate": 1e-3, "amsgrad": True, "weight_decay": 5e-4, "decay": "l2"},
        "schedule": {"kind": "cosine", "fall_epochs": 64},
    }
    job = diet_spec(
        ann=ann,
        epochs=300,
        batch_size=64,
        optimiser={"kind": "adam", "learning_rate": 1e-4, "amsgrad": True},
        schedule={"kind": "cosine", "fall_epochs": 128},
        dropout_rate=0.2,
        conversion={"percentile": 99.7, "n_samples": 512, "steps": 100, "scaling_factor": 0.2},
    )
    assert isinstance(job.training, Diet)
    assert job.training.ann.optimiser.decay == "l2"


# --- optimisers


def cosine(fall_epochs: int | None, **fields: Any) -> JobSpec:
    schedule = {"kind": "cosine", "fall_epochs": fall_epochs, **fields}
    return tiny_spec(training={"epochs": 10, "schedule": schedule})


def test_a_cosine_that_is_shorter_than_the_training_rises_and_falls_again() -> None:
    training = cosine(4).bptt
    rates = [learning_rate(training, 5 * epoch, 5) for epoch in range(13)]
    expected = [
        1e-3 * factor
        for factor in (1, None, 0.5, None, 0, None, 0.5, None, 1, None, 0.5, None, 0)
        if factor is not None
    ]
    assert rates[::2] == pytest.approx(expected, abs=1e-12)


def test_the_cosine_is_that_of_torch_at_whole_epochs() -> None:
    training = cosine(4).bptt
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.Adam([weight], lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=4)
    for epoch in range(10):
        assert learning_rate(training, 5 * epoch, 5) == pytest.approx(optimiser.param_groups[0]["lr"], abs=1e-12)
        optimiser.step()
        schedule.step()


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("decay", ["decoupled", "l2"])
def test_adam_is_that_of_the_spec_and_goes_on_where_it_was(amsgrad: bool, decay: str) -> None:
    adam = Adam(kind="adam", learning_rate=0.1, weight_decay=0.3, decay=decay, amsgrad=amsgrad)  # type: ignore[arg-type]
    initial, gradients = torch.tensor([2.0, -1.0]).double(), [[3.0, -2.0], [-0.5, 0.1], [0.2, 4.0], [-1.0, 0.5]]
    layer = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    layer.weight.data.copy_(initial[None])
    optimiser = make_adam(layer, adam)
    w, m, v, highest = initial.clone(), torch.zeros(2).double(), torch.zeros(2).double(), torch.zeros(2).double()
    for t, values in enumerate(gradients, start=1):
        if t == 3:  # as a resumed run does
            saved = {name: tensor.clone() for name, tensor in optimiser_tensors(layer, optimiser).items()}
            assert any(name.endswith("max_exp_avg_sq") for name in saved) == amsgrad
            optimiser = make_adam(layer, adam)
            restore_optimiser(layer, optimiser, saved)
        g = torch.tensor(values).double()
        layer.weight.grad = g[None].clone()
        optimiser.step()
        if decay == "l2":
            g = g + 0.3 * w
        else:
            w = w * (1 - 0.1 * 0.3)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        highest = torch.maximum(highest, v)
        second = (highest if amsgrad else v) / (1 - 0.999**t)
        w = w - 0.1 * (m / (1 - 0.9**t)) / (second.sqrt() + 1e-8)
        torch.testing.assert_close(layer.weight.detach()[0], w, rtol=1e-12, atol=1e-12)
