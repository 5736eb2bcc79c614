"""The language of job specs: what is understood, what is refused, and where the refusal points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from snncore.presets import UnknownPreset, get_preset, list_presets
from snncore.spec import (
    JobSpec,
    SpecError,
    deep_merge,
    estimate,
    nested,
    parse_job_spec,
    rewired_matrices,
    split_layer,
    useful_threads,
    warnings_about,
)
from tests.snncore.jobs import tiny_job, tiny_spec


def locations(document: dict[str, Any]) -> set[str]:
    with pytest.raises(SpecError) as caught:
        parse_job_spec(document)
    return {".".join(map(str, problem.loc)) for problem in caught.value.problems}


def rewired(connectivity: Any, **fields: Any) -> dict[str, Any]:
    return {"training": {"rewiring": {"kind": "deep_r", "connectivity": connectivity, **fields}}}


def test_every_default_is_filled_in_and_the_filled_in_spec_means_the_same() -> None:
    spec = tiny_spec()
    resolved = json.loads(spec.model_dump_json())
    assert resolved["neuron"]["reset_timing"] == "next_step"
    energy = {"multiply_accumulate_pj": 4.6, "accumulate_pj": 0.9}
    spikes = {"kind": "spikes", "n_samples": 4, "every_epochs": 1, "receptive_fields": None}
    assert resolved["recording"] == spikes | {"energy": energy}
    assert parse_job_spec(resolved) == spec


def test_every_resolved_preset_is_read_back_as_it_was() -> None:
    for preset in list_presets():
        if preset.needs:
            continue
        assert parse_job_spec(preset.spec).model_dump(mode="json") == preset.spec


def test_locations_name_the_keys_that_the_writer_sees() -> None:
    assert locations(tiny_job(neuron={"tau_mem_ms": -1.0})) == {"neuron.tau_mem_ms"}
    populations = [{"proportion": 1.0, "neuron": {"kind": "lif", "n_refractory": 1.5}}] * 2
    assert locations(tiny_job(neuron={"kind": "mixed", "populations": populations})) == {
        "neuron.populations.0.neuron.n_refractory",
        "neuron.populations.1.neuron.n_refractory",
    }
    assert locations(tiny_job(neuron={"kind": "lif", "surrogate": {"kind": "step"}})) == {"neuron.surrogate.kind"}
    assert locations({}) == {"task", "dataset", "encoding", "architecture", "training"}
    assert locations({**tiny_job(), "neuron": None}) == {"neuron"}
    assert locations(tiny_job(nonsense={"a": 1})) == {"nonsense"}


def test_numbers_are_numbers() -> None:
    for wrong in (True, "5", 2.5, None, [1], float("inf"), 10**400):
        assert locations(tiny_job(training={"epochs": wrong})) == {"training.epochs"}
    assert locations(tiny_job(neuron={"tau_mem_ms": float("nan")})) == {"neuron.tau_mem_ms"}


def k_winners(n: int, k: int) -> dict[str, Any]:
    return {
        "task": {"kind": "k_winners", "n_outputs": n, "k": k},
        "architecture": {"readout": {"kind": "spike_count"}},
    }


@pytest.mark.parametrize(
    ("parts", "location"),
    [
        ({"encoding": {"duration_ms": 10.5}}, "encoding.duration_ms"),
        ({"encoding": {"duration_ms": 0.5}}, "encoding.duration_ms"),
        ({"encoding": {"duration_ms": 1e6}}, "encoding.duration_ms"),
        ({"dataset": {"test_fraction": 0.6, "validation_fraction": 0.5}}, "dataset.test_fraction"),
        ({"dataset": {"kind": "mnist", "n_train": 60_000}}, "dataset.n_validation"),
        ({"dataset": {"kind": "fashion_mnist", "n_train": 60_000}}, "dataset.n_validation"),
        ({"dataset": {"kind": "exponential", "n_features": 3}}, "task.kind"),
        ({"task": {"kind": "softmax", "n_outputs": 64}}, "architecture.readout.kind"),
        ({"neuron": {"v_reset": -0.5}}, "neuron.v_reset"),
        ({"neuron": {"reset": "value", "v_reset": 2.0}}, "neuron.v_reset"),
        (
            {"architecture": {"recurrence": {"delay": {"kind": "constant", "steps": 0}}}},
            "architecture.recurrence.delay.steps",
        ),
        (
            {"architecture": {"recurrence": {"delay": {"kind": "uniform", "low": 0, "high": 2}}}},
            "architecture.recurrence.delay.low",
        ),
        (
            {"architecture": {"input": {"delay": {"kind": "uniform", "low": 3, "high": 2}}}},
            "architecture.input.delay.high",
        ),
        ({"architecture": {"input": {"delay": {"kind": "constant", "steps": 10}}}}, "architecture.input.delay.steps"),
        ({"architecture": {"readout": {"kind": "leaky", "window_ms": 5.0}}}, "architecture.readout.window_ms"),
        (
            {"architecture": {"readout": {"kind": "leaky", "reduction": "mean", "window_ms": 50.0}}},
            "architecture.readout.window_ms",
        ),
        ({"architecture": {"readout": {"kind": "spike_count", "warmup_ms": 10.0}}}, "architecture.readout.warmup_ms"),
        (
            {
                "architecture": {
                    "kind": "feedforward",
                    "layers": [5],
                    "readout": {"kind": "spike_count", "recurrent": True},
                }
            },
            "architecture.readout.recurrent",
        ),
        (
            {
                "architecture": {
                    "readout": {"kind": "spike_count", "recurrent": True, "weights": {"kind": "normal", "gain": 2.0}}
                }
            },
            "architecture.readout.weights",
        ),
        ({"encoding": {"frames": 3}}, "encoding.frames"),
        ({"encoding": {"frames": 20}}, "encoding.frames"),
        (
            {"task": {"kind": "recall"}, "architecture": {"readout": {"reduction": "mean_by_frame"}}},
            "task.kind",
        ),
        ({"architecture": {"readout": {"reduction": "mean_by_frame"}}}, "architecture.readout.reduction"),
        ({"task": {"loss": "rate_mse"}}, "task.loss"),
        ({"task": {"rate_scale_hz": 100.0}}, "task.rate_scale_hz"),
        ({"task": {"borders": {"zero_hz": 10.0}}}, "task.borders"),
        (
            {
                "task": {"loss": "borders", "borders": {"zero_hz": 60.0}},
                "architecture": {"readout": {"kind": "spike_count"}},
            },
            "task.borders.zero_hz",
        ),
        (k_winners(64, 64), "task.k"),
        (k_winners(5, 1), "task.n_outputs"),
        (deep_merge(k_winners(64, 1), {"task": {"borders": {"zero_hz": 30.0}}}), "task.decision_hz"),
        ({"task": {"kind": "k_winners", "n_outputs": 64, "k": 1}}, "architecture.readout.kind"),
        (
            {"task": {"kind": "recall"}, "dataset": {"kind": "store_recall", "n_values": 10}, "encoding": {"frames": 2}}
            | {"architecture": {"readout": {"reduction": "mean_by_frame"}}},
            "encoding.frames",
        ),
        (
            {"dataset": {"kind": "store_recall", "n_values": 10, "n_slots": 10}, "encoding": {"frames": 10}},
            "task.kind",
        ),
        ({"dataset": {"kind": "mnist", "pooling": 3}}, "dataset.pooling"),
        ({"training": {"batch_size": 5000}}, "training.batch_size"),
        ({"dataset": {"validation_fraction": 0.0}}, "training.final_weights"),
        ({"training": {"schedule": {"kind": "cosine", "warmup_steps": 6}}}, "training.schedule.warmup_steps"),
        (rewired(0.0), "training.rewiring.connectivity"),
        (rewired(1.5), "training.rewiring.connectivity"),
        (rewired("half"), "training.rewiring.connectivity"),
        (rewired({}), "training.rewiring.connectivity"),
        (rewired({"hidden/input": 1.5}), "training.rewiring.connectivity.hidden/input"),
        (rewired({"hidden_1/input": 0.5}), "training.rewiring.connectivity.hidden_1/input"),
        (rewired(0.001), "training.rewiring.connectivity"),
        (rewired({"hidden/input": 0.1, "hidden/recurrent": 0.001}), "training.rewiring.connectivity.hidden/recurrent"),
        (rewired(0.5, matrices=["hidden/input", "hidden_2/input"]), "training.rewiring.matrices.1"),
        (rewired(0.5, matrices=["hidden/input", "hidden/input"]), "training.rewiring.matrices"),
        (rewired(0.5, matrices=[]), "training.rewiring.matrices"),
        (rewired({"hidden/input": 0.5}, matrices=["hidden/input"]), "training.rewiring.matrices"),
        (rewired(0.5, matrices=["hidden/input"], budget="pooled"), "training.rewiring.budget"),
        (rewired(0.5, signs={"kind": "dale", "excitatory_share": 1.5}), "training.rewiring.signs.excitatory_share"),
        (rewired(0.5, kind="set"), "training.rewiring.kind"),
        (
            deep_merge(rewired(0.5), {"training": {"optimiser": {"kind": "adam", "weight_decay": 0.1}}}),
            "training.optimiser.weight_decay",
        ),
    ],
)
def test_parts_that_cannot_work_together_are_refused_at_their_place(parts: dict[str, Any], location: str) -> None:
    assert locations(tiny_job(**parts)) == {location}


@pytest.mark.parametrize(
    ("architecture", "names"),
    [
        ({"kind": "recurrent", "n_hidden": 12, "readout": {"kind": "leaky"}}, {"hidden/input", "hidden/recurrent"}),
        (
            {"kind": "recurrent", "n_hidden": 12, "readout": {"kind": "spike_count", "recurrent": True}},
            {"hidden/input", "hidden/recurrent"},
        ),
        (
            {"kind": "feedforward", "layers": [20, 15], "readout": {"kind": "spike_count"}},
            {"hidden_1/input", "hidden_2/input"},
        ),
    ],
)
def test_what_is_rewired_unless_told_otherwise_ends_on_hidden_neurons(
    architecture: dict[str, Any], names: set[str]
) -> None:
    spec = tiny_spec(architecture=architecture, **rewired(0.5))
    assert {matrix.name for matrix, _ in rewired_matrices(spec)} == names


def test_a_mixed_layer_has_one_form_of_dynamics() -> None:
    populations = [
        {"proportion": 1.0, "neuron": {"kind": "lif"}},
        {"proportion": 1.0, "neuron": {"kind": "alif", "reset": "none", "tau_mem_ms": 5.0}},
    ]
    assert locations(tiny_job(neuron={"kind": "mixed", "populations": populations})) == {
        "neuron.populations.1.neuron.reset"
    }


REFERENCE: dict[str, Any] = {"engine": "reference"}


@pytest.mark.parametrize(
    ("neuron", "training", "wrong"),
    [
        ({"smoothing": {}}, {}, {"neuron.smoothing"}),
        ({"smoothing": {}, "n_refractory": 1}, REFERENCE, {"neuron.n_refractory"}),
        ({"smoothing": {}, "detach_reset": True}, REFERENCE, {"neuron.detach_reset"}),
        ({"smoothing": {}, "surrogate": {"kind": "constant"}}, REFERENCE, {"neuron.surrogate"}),
        ({"smoothing": {"reset_width": 0.1}, "reset": "none"}, REFERENCE, {"neuron.smoothing.reset_width"}),
        ({"smoothing": {"output_width": 0.0}}, REFERENCE, {"neuron.smoothing.output_width"}),
    ],
)
def test_smooth_spikes_are_for_the_reference_engine_and_go_with_nothing_that_needs_hard_ones(
    neuron: dict[str, Any], training: dict[str, Any], wrong: set[str]
) -> None:
    tiny_spec(neuron={"smoothing": {}}, training=REFERENCE)
    assert locations(tiny_job(neuron=neuron, training=training)) == wrong


def test_the_populations_of_a_layer_are_smooth_or_hard_together() -> None:
    populations = [
        {"proportion": 1.0, "neuron": {"kind": "lif", "smoothing": {}, "non_negative": True}},
        {"proportion": 1.0, "neuron": {"kind": "lif"}},
    ]
    job = tiny_job(neuron={"kind": "mixed", "populations": populations}, training=REFERENCE)
    assert locations(job) == {
        "neuron.populations.1.neuron.smoothing",
        "neuron.populations.1.neuron.non_negative",
    }


@pytest.mark.parametrize(
    ("kind", "number"), [("constant", "width"), ("zero", "dampening"), ("zero", "width"), ("gaussian", "lobe_width")]
)
def test_a_surrogate_takes_the_numbers_of_its_kind_and_no_others(kind: str, number: str) -> None:
    tiny_spec(neuron={"surrogate": {"kind": kind}})
    wrong = {"surrogate": {"kind": kind, number: 2.0}}
    assert locations(tiny_job(neuron=wrong)) == {f"neuron.surrogate.{number}"}


@pytest.mark.parametrize(
    ("proportions", "n", "counts"),
    [
        ([100.0, 140.0], 240, [100, 140]),
        ([1.0, 1.0], 5, [3, 2]),
        ([1.0, 1.0, 1.0], 2, [1, 1, 0]),
        ([0.1, 99.9], 3, [0, 3]),
    ],
)
def test_populations_share_a_layer_by_largest_remainder(proportions: list[float], n: int, counts: list[int]) -> None:
    populations = [{"proportion": p, "neuron": {"kind": "lif"}} for p in proportions]
    neuron = tiny_spec(neuron={"kind": "mixed", "populations": populations}).neuron
    assert [count for count, _ in split_layer(neuron, n)] == counts


def test_overrides_reach_into_parts_and_a_new_kind_replaces_its_part() -> None:
    base = tiny_job(neuron={"tau_mem_ms": 7.0})
    assert deep_merge(base, {"neuron": {"v_threshold": 0.5}})["neuron"] == {
        "kind": "lif",
        "tau_mem_ms": 7.0,
        "v_threshold": 0.5,
    }
    assert deep_merge(base, {"neuron": {"kind": "alif"}})["neuron"] == {"kind": "alif"}
    assert base["neuron"]["tau_mem_ms"] == 7.0


def test_overrides_reach_into_lists_by_number() -> None:
    base = {"architecture": {"layers": [{"kind": "dense", "n_units": 3}, {"kind": "dropout", "rate": 0.5}, 7]}}
    changes = nested({"architecture.layers.0.n_units": 5, "architecture.layers.1": {"kind": "lstm"}})
    merged = deep_merge(base, changes)
    assert merged["architecture"]["layers"] == [{"kind": "dense", "n_units": 5}, {"kind": "lstm"}, 7]
    assert base["architecture"]["layers"][0] == {"kind": "dense", "n_units": 3}, "what is merged into stays as it was"


@pytest.mark.parametrize("number", ["2", "-1", "00", "first", "\u0661"])
def test_an_element_that_a_list_does_not_have_is_named(number: str) -> None:
    base = {"neuron": {"populations": [{"neuron": {}}, {"neuron": {}}]}}
    with pytest.raises(SpecError) as caught:
        deep_merge(base, nested({f"neuron.populations.{number}.proportion": 1.0}))
    (problem,) = caught.value.problems
    assert problem.loc == ("neuron", "populations", number)
    assert "list of 2" in problem.msg


def test_what_is_rarely_meant_is_said() -> None:
    assert any("max_rate_hz" in w for w in warnings_about(tiny_spec(encoding={"max_rate_hz": 5000.0})))
    assert any("last batch" in w for w in warnings_about(tiny_spec(training={"batch_size": 250})))
    assert warnings_about(tiny_spec()) == []


def test_an_unknown_preset_names_its_neighbours() -> None:
    with pytest.raises(UnknownPreset, match=r"renner/softmax-exp-4"):
        get_preset("renner/softmax-exp4")


def test_the_estimate_grows_as_the_job_does() -> None:
    small, long, wide = (
        estimate(tiny_spec(**parts))
        for parts in ({}, {"encoding": {"duration_ms": 20.0}}, {"architecture": {"n_hidden": 24}})
    )
    assert long.parameters == small.parameters
    assert long.flops == 2 * small.flops
    assert long.peak_memory_bytes > small.peak_memory_bytes
    assert wide.parameters > small.parameters


def test_the_estimate_counts_a_matrix_for_each_delay_of_every_layer() -> None:
    one, three = ({"delay": {"kind": "uniform", "low": 1, "high": high}} for high in (1, 3))
    for connections in (("input",), ("recurrence",), ("input", "recurrence")):
        small, large = (estimate(tiny_spec(architecture=dict.fromkeys(connections, delay))) for delay in (one, three))
        assert large.parameters == small.parameters
        assert large.peak_memory_bytes > small.peak_memory_bytes


def test_the_json_schema_lists_every_kind() -> None:
    schema = json.dumps(JobSpec.model_json_schema())
    for kind in (
        "lif",
        "alif",
        "mixed",
        "poisson",
        "direct",
        "latency",
        "events",
        "shd",
        "recurrent",
        "feedforward",
        "softmax",
        "digits",
        "mnist",
    ):
        assert f'"const": "{kind}"' in schema


MEASURE = """
import json, sys, torch
from snncore import train
from snncore.events import Progress
from snncore.spec import parse_job_spec
torch.set_num_threads(1)
# not getrusage: its peak survives exec, so a child of a large process starts with the size of its parent
def peak(): return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM:"))
run = train(parse_job_spec(json.loads(sys.argv[1])))
warm = json.loads(sys.argv[1]); warm["training"]["epochs"] = 1
warm["encoding"]["duration_ms"] = 2.0 * warm["encoding"].get("frames", 1)
for part in ("connection", "input", "recurrence"): warm["architecture"].pop(part, None)
warm["architecture"].update({"layers": [2, 2]} if "layers" in warm["architecture"] else {"n_hidden": 2})
for event in train(parse_job_spec(warm)): pass
before = peak()
for event in run:
    if isinstance(event, Progress) and event.step == 3: break
print(peak() - before)
"""


def test_a_way_back_that_the_engine_does_not_have_is_named() -> None:
    backward = {"kind": "checkpointed", "every_steps": 5}
    assert locations(tiny_job(training={"engine": "reference", "backward": backward})) == {"training.backward.kind"}
    assert locations(tiny_job(training={"backward": {"kind": "truncated"}})) == {"training.backward.window_steps"}
    assert parse_job_spec(tiny_job(training={"backward": backward})).training.engine == "auto"


def measured_memory(document: dict[str, Any]) -> int:
    # Tensors are mapped one by one and unmapped when they die, so that the peak of the process is that of its tensors.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", MEASURE, json.dumps(document)]
    return int(subprocess.check_output(command, text=True, env=environment))


@pytest.mark.slow
@pytest.mark.parametrize(
    "neuron",
    [{"kind": "lif"}, {"kind": "alif"}, {"kind": "lif", "n_refractory": 2}, {"kind": "lif", "reset": "value"}],
    ids=["lif", "alif", "refractory", "value"],
)
def test_the_memory_estimate_of_the_reference_is_within_a_third(neuron: dict[str, Any]) -> None:
    document = tiny_job(
        neuron=neuron,
        encoding={"duration_ms": 300.0},
        architecture={"n_hidden": 300},
        training={"batch_size": 128, "engine": "reference"},
        recording={"kind": "none"},
    )
    assert estimate(parse_job_spec(document)).peak_memory_bytes == pytest.approx(measured_memory(document), rel=0.33)


@pytest.mark.slow
def test_the_memory_estimate_of_outputs_by_frame_is_within_a_fifth() -> None:
    """The spikes are kept as numbers where more than one sum over time is read."""
    changes = {"recording": {"kind": "none"}, "architecture": {"n_hidden": 200}, "dataset": {"n_train": 512}}
    document = deep_merge(get_preset("renner/store-recall").spec, changes)
    assert estimate(parse_job_spec(document)).peak_memory_bytes == pytest.approx(measured_memory(document), rel=0.2)


@pytest.mark.slow
def test_the_memory_estimate_of_delays_is_within_a_fifth() -> None:
    """There is a dense matrix for each delay, and one for its gradient."""
    delays = {
        "input": {"delay": {"kind": "uniform", "low": 0, "high": 3}},
        "recurrence": {"delay": {"kind": "uniform", "low": 1, "high": 4}},
    }
    document = tiny_job(
        encoding={"duration_ms": 100.0, "max_rate_hz": 50.0},
        architecture={"n_hidden": 1200, **delays},
        training={"batch_size": 16},
        recording={"kind": "none"},
    )
    assert estimate(parse_job_spec(document)).peak_memory_bytes == pytest.approx(measured_memory(document), rel=0.2)


FEED_FORWARD = {"kind": "feedforward", "layers": [700, 300], "readout": {"kind": "spike_count"}}


@pytest.mark.slow
@pytest.mark.parametrize(
    "backward",
    [{"kind": "full"}, {"kind": "checkpointed", "every_steps": 60}, {"kind": "truncated", "window_steps": 150}],
    ids=["full", "checkpointed", "truncated"],
)
@pytest.mark.parametrize(
    "parts",
    [
        {"neuron": {"kind": "lif"}, "architecture": {"n_hidden": 300}},
        {"neuron": {"kind": "alif", "n_refractory": 2}, "architecture": {"n_hidden": 300}},
        {"neuron": {"kind": "lif"}, "architecture": FEED_FORWARD},
    ],
    ids=["lif", "alif, refractory", "feed-forward"],
)
def test_the_memory_estimate_of_the_fused_engine_is_within_a_fifth(
    parts: dict[str, Any], backward: dict[str, Any]
) -> None:
    document = tiny_job(
        encoding={"duration_ms": 1500.0, "max_rate_hz": 50.0},
        training={"batch_size": 128, "backward": backward},
        recording={"kind": "none"},
        **parts,
    )
    assert estimate(parse_job_spec(document)).peak_memory_bytes == pytest.approx(measured_memory(document), rel=0.2)


def test_small_networks_get_one_thread_and_large_ones_what_there_is() -> None:
    small, large = tiny_job(), tiny_job(encoding={"duration_ms": 500.0}, architecture={"n_hidden": 2000})
    for engine, most in (("reference", 8), ("fused", 8)):
        for job in (small, large):
            job["training"]["engine"] = engine
        assert useful_threads(parse_job_spec(small), 8) == 1
        assert useful_threads(parse_job_spec(large), 8) == most
        assert useful_threads(parse_job_spec(large), 1) == 1
