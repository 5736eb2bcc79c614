"""The fused engine against the reference: the same spikes, sums and potentials, and the same gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from snncore.engines import Checkpointed, Full, Layer, ReferenceEngine, Truncated, choose_engine
from snncore.engines.cpu import FusedCpuEngine, listed
from snncore.engines.cpu.presentation import Links
from snncore.errors import EngineUnavailable
from snncore.neurons import neuron_parameters
from snncore.spec.synapses import ConstantDelay, Delay, NormalWeights, UniformDelay
from snncore.spikes import SpikeTrain
from snncore.surrogates import spike_function
from snncore.synapses import Synapses
from tests.snncore.engine_cases import SURROGATES, Case, assert_same, present, surrogate
from tests.snncore.jobs import tiny_spec

REFERENCE, FUSED = ReferenceEngine(), FusedCpuEngine()
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}

LIF: dict[str, Any] = {"kind": "lif", "tau_mem_ms": 8.0, "v_threshold": 0.5}
ALIF: dict[str, Any] = {**LIF, "kind": "alif", "tau_adapt_ms": 15.0, "beta_adapt": 0.8}
MIXED: dict[str, Any] = {
    "kind": "mixed",
    "populations": [
        {"proportion": 1.0, "neuron": {**LIF, "n_refractory": 2}},
        {"proportion": 2.0, "neuron": {**ALIF, "n_refractory": 1}},
    ],
}
MIXED_NON_NEGATIVE: dict[str, Any] = {
    "kind": "mixed",
    "populations": [
        {"proportion": 1.0, "neuron": {**LIF, "non_negative": True, "surrogate": {"kind": "constant"}}},
        {"proportion": 1.0, "neuron": {**ALIF, "non_negative": True, "surrogate": {"kind": "constant"}}},
    ],
}
SCATTERED = UniformDelay(kind="uniform", low=1, high=4)
AT_ONCE_OR_LATER = UniformDelay(kind="uniform", low=0, high=5)
LATE = ConstantDelay(kind="constant", steps=3)


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request: pytest.FixtureRequest) -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


CASES = {
    "lif": Case(LIF),
    "alif": Case(ALIF),
    "mixed, refractory": Case(MIXED, sizes=(5, 11), trainable_neurons=True),
    "two feed-forward layers": Case(LIF, sizes=(5, 9, 4), recurrent=(False, False), trainable_neurons=True),
    "three layers, one recurrent": Case(ALIF, sizes=(5, 9, 6, 4), recurrent=(False, True, False), biased=True),
    "more neurons than a tile": Case(LIF, sizes=(2100, 200, 1100), recurrent=(False, False), n_steps=6, density=0.02),
    "more neurons than a word": Case(ALIF, sizes=(30, 150, 70), recurrent=(True, True), n_steps=70, batch=6),
    "delays everywhere": Case(
        ALIF, sizes=(5, 9, 4), recurrent=(True, True), delay=SCATTERED, recurrent_delay=SCATTERED, n_projected=3,
        projection_delay=SCATTERED, trainable_neurons=True,
    ),
    "delay of all synapses": Case(LIF, delay=LATE, recurrent_delay=LATE, n_projected=3, projection_delay=LATE),
    "numbers as input": Case(ALIF, density=None, delay=SCATTERED, biased=True, trainable_neurons=True),
    "numbers without delay": Case(LIF, density=None, recurrent=(False,), n_projected=18, biased=True),
    "many numbers as input": Case(ALIF, sizes=(70, 9), density=None, delay=SCATTERED, trainable_neurons=True),
    "reset to a value": Case({**LIF, "reset": "value", "v_reset": -0.25}, trainable_neurons=True),
    "reset to a value in the same step": Case(
        {**LIF, "reset": "value", "v_reset": 0.25, "reset_timing": "same_step"}, trainable_neurons=True
    ),
    "reset in the same step": Case({**ALIF, "reset_timing": "same_step"}, trainable_neurons=True),
    "reset cut out of the gradient": Case({**ALIF, "detach_reset": True}, trainable_neurons=True),
    "reset to a value, cut out": Case({**LIF, "reset": "value", "detach_reset": True}, trainable_neurons=True),
    "non-negative": Case({**ALIF, "non_negative": True}, trainable_neurons=True),
    "non-negative, reset to a value": Case(
        {**LIF, "non_negative": True, "reset": "value", "reset_timing": "same_step"}, trainable_neurons=True
    ),
    "non-negative, from numbers": Case(
        MIXED_NON_NEGATIVE, sizes=(5, 9, 4), recurrent=(True, False), density=None, trainable_neurons=True, n_steps=60
    ),
    "no reset": Case({**ALIF, "reset": "none"}, trainable_neurons=True),
    "fires above the threshold only": Case({**LIF, "fires_at": "greater"}),
    "leak decides the input scale": Case({**LIF, "input_scaling": "one_minus_decay"}, gain=8.0),
    "silent": Case({**LIF, "v_threshold": 1e3}),
    "silent input": Case(LIF, density=0.0),
    "saturated": Case({**LIF, "surrogate": {"kind": "arctan"}}, density=1.0, gain=16.0),
    "one step": Case(ALIF, n_steps=1, trainable_neurons=True),
    "one sample": Case(ALIF, batch=1),
    "one neuron": Case(ALIF, sizes=(1, 1)),
    "few synapses": Case(LIF, sizes=(50, 300, 240), recurrent=(True, False), connectivity=0.02, gain=8.0, n_steps=9),
    "few synapses, delays of all kinds": Case(
        ALIF, sizes=(40, 50, 70), recurrent=(True, True), delay=AT_ONCE_OR_LATER, recurrent_delay=SCATTERED,
        connectivity=0.1, gain=5.0, n_projected=3, trainable_neurons=True, n_steps=40,
    ),
    "no synapses": Case(LIF, sizes=(5, 7), connectivity=0.0, biased=True),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_is_the_reference(case: Case, dtype: torch.dtype, threads: int) -> None:
    case = replace(case, dtype=dtype)
    assert_same(present(FUSED, case), present(REFERENCE, case), TOLERANCE[dtype])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_is_the_reference_with_listed_synapses(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed, "pays", lambda *_: True)
    case = replace(case, connectivity=min(case.connectivity, 0.5))
    assert_same(present(FUSED, case), present(REFERENCE, case), 1e-9)


def test_synapses_are_listed_where_there_are_few_for_their_delays() -> None:
    def is_listed(n: int, connectivity: float, delay: Delay) -> bool:
        recurrence = Synapses(
            n, n, name="test", seed=0, weights=NormalWeights(kind="normal"), delay=delay, dtype=torch.float32,
            device=torch.device("cpu"),
        )  # fmt: skip
        with torch.no_grad():
            recurrence.weight.mul_(torch.rand(n, n, generator=torch.Generator().manual_seed(0)) < connectivity)
        return listed.listed(Links(tuple(recurrence.delays), slice(0), recurrence)) is not None

    ten = UniformDelay(kind="uniform", low=1, high=10)
    assert [is_listed(1000, share, LATE) for share in (0.02, 0.3, 1.0)] == [True, False, False]
    assert [is_listed(240, share, LATE) for share in (0.12, 1.0)] == [False, False]
    assert [is_listed(240, share, ten) for share in (0.12, 1.0)] == [True, True]


@pytest.mark.parametrize("steps", [1, 4, 7, 64])
@pytest.mark.parametrize(
    "name",
    [
        "mixed, refractory",
        "delays everywhere",
        "numbers as input",
        "reset in the same step",
        "non-negative",
        "non-negative, from numbers",
        "few synapses, delays of all kinds",
    ],
)
def test_every_backward_strategy_is_the_reference(name: str, steps: int) -> None:
    case = CASES[name]
    assert_same(present(FUSED, case, Checkpointed(steps)), present(REFERENCE, case), 1e-9)
    assert_same(present(FUSED, case, Truncated(steps)), present(REFERENCE, case, Truncated(steps)), 1e-9)


def test_truncating_loses_part_of_the_gradient() -> None:
    case = CASES["alif"]
    full, cut = present(FUSED, case), present(FUSED, case, Truncated(3))
    assert torch.equal(full.activity.totals[0], cut.activity.totals[0])
    assert not torch.allclose(full.gradients["recurrent_0"], cut.gradients["recurrent_0"])


@pytest.mark.parametrize("scaling", ["scaled", "raw"])
@pytest.mark.parametrize("kind", SURROGATES)
def test_every_surrogate_is_the_reference(kind: str, scaling: str) -> None:
    form = surrogate(kind, dampening=0.7, width=0.6, lobe_height=0.3, lobe_width=2.5)
    case = Case({**ALIF, "surrogate": form, "surrogate_scaling": scaling}, trainable_neurons=True)
    assert_same(present(FUSED, case), present(REFERENCE, case), 1e-9)
    single = replace(case, dtype=torch.float32)
    assert_same(present(FUSED, single), present(REFERENCE, single), 1e-4)


@pytest.mark.parametrize("sizes", [(5, 7), (5, 9, 6)])
def test_without_a_surrogate_no_gradient_passes_the_spikes_and_what_they_reach_learns(sizes: tuple[int, ...]) -> None:
    case = Case(
        {**LIF, "surrogate": {"kind": "zero"}}, sizes=sizes, recurrent=(True,) * (len(sizes) - 1), n_projected=3
    )
    for engine in (FUSED, REFERENCE):
        gradients = present(engine, case).gradients
        assert gradients.pop("projection").abs().max() > 0
        assert all(not gradient.any() for gradient in gradients.values())


members = st.fixed_dictionaries(
    {
        "tau_mem_ms": st.sampled_from([2.0, 8.0, 30.0]),
        "v_threshold": st.sampled_from([0.25, 0.7, 2.0]),
        "n_refractory": st.integers(0, 5),
    }
)
forms = st.fixed_dictionaries(
    {
        "reset": st.sampled_from(["subtract", "value", "none"]),
        "reset_timing": st.sampled_from(["next_step", "same_step"]),
        "detach_reset": st.booleans(),
        "fires_at": st.sampled_from(["greater_equal", "greater"]),
        "non_negative": st.booleans(),
        "input_scaling": st.sampled_from(["plain", "one_minus_decay", "dt_over_tau"]),
        "surrogate_scaling": st.sampled_from(["scaled", "raw"]),
        "surrogate": st.builds(surrogate, st.sampled_from(list(SURROGATES)), width=st.sampled_from([0.5, 1.0, 3.0])),
    }
)


@st.composite
def neurons(draw: st.DrawFn) -> dict[str, Any]:
    form = draw(forms)
    alif = {"kind": "alif", "tau_adapt_ms": draw(st.sampled_from([5.0, 60.0])), "beta_adapt": 0.6}
    kind = draw(st.sampled_from(["lif", "alif", "mixed"]))
    if kind == "lif":
        return {"kind": "lif", **form, **draw(members)}
    if kind == "alif":
        return {**alif, **form, **draw(members)}
    populations = [{"kind": "lif", **form, **draw(members)}, {**alif, **form, **draw(members)}]
    return {"kind": "mixed", "populations": [{"proportion": 1.0, "neuron": neuron} for neuron in populations]}


def delays(shortest: int) -> st.SearchStrategy[Any]:
    constant = st.integers(shortest, 4).map(lambda steps: ConstantDelay(kind="constant", steps=steps))
    uniform = st.integers(0, 3).map(lambda more: UniformDelay(kind="uniform", low=shortest, high=shortest + more))
    return constant | uniform


@st.composite
def cases(draw: st.DrawFn) -> Case:
    n_layers = draw(st.integers(1, 3))
    return Case(
        neuron=draw(neurons()),
        sizes=tuple(draw(st.lists(st.integers(1, 70), min_size=n_layers + 1, max_size=n_layers + 1))),
        n_steps=draw(st.integers(1, 80)),
        batch=draw(st.integers(1, 9)),
        recurrent=tuple(draw(st.lists(st.booleans(), min_size=n_layers, max_size=n_layers))),
        delay=draw(delays(0)),
        recurrent_delay=draw(delays(1)),
        density=draw(st.sampled_from([None, 0.0, 0.05, 0.4, 0.8, 1.0])),
        gain=draw(st.sampled_from([0.5, 2.0, 6.0])),
        connectivity=draw(st.sampled_from([1.0, 0.3, 0.05])),
        n_projected=draw(st.integers(0, 20)),
        projection_delay=draw(delays(0)),
        trainable_neurons=draw(st.booleans()),
        biased=draw(st.booleans()),
        dtype=draw(st.sampled_from([torch.float32, torch.float64])),
        seed=draw(st.integers(0, 1000)),
    )


def sweep(case: Case, lists: bool, strategy: str, steps: int) -> None:
    note(repr(case))
    found = {"full": Full(), "checkpointed": Checkpointed(steps), "truncated": Truncated(steps)}[strategy]
    expected = Full() if strategy == "checkpointed" else found
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listed, "pays", lambda *_: lists)
        outcome = present(FUSED, case, found)
    assert_same(outcome, present(REFERENCE, case, expected), TOLERANCE[case.dtype])


strategies = st.sampled_from(["full", "checkpointed", "truncated"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(cases(), st.booleans(), strategies, st.integers(1, 90))
def test_a_sweep_of_networks(case: Case, lists: bool, strategy: str, steps: int) -> None:
    sweep(case, lists, strategy, steps)


@pytest.mark.slow
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(), st.booleans(), strategies, st.integers(1, 90))
def test_a_long_sweep_of_networks(case: Case, lists: bool, strategy: str, steps: int) -> None:
    sweep(case, lists, strategy, steps)


def test_one_thread_and_two_come_to_the_same_bits() -> None:
    outcomes = []
    before = torch.get_num_threads()
    for n_threads in (1, 2, 1):
        torch.set_num_threads(n_threads)
        case = replace(CASES["more neurons than a word"], dtype=torch.float32, n_steps=150, batch=13)
        outcomes.append(present(FUSED, case))
    torch.set_num_threads(before)
    for other in outcomes[1:]:
        assert all(torch.equal(other.gradients[name], g) for name, g in outcomes[0].gradients.items())


def layer(n_pre: int = 3, n_post: int = 4) -> Layer:
    spec = tiny_spec()
    assert spec.neuron.kind == "lif"
    shared: dict[str, Any] = {"dtype": torch.float32, "device": torch.device("cpu")}
    weights = tiny_spec(architecture={"kind": "recurrent"}).architecture.readout.weights
    delay = ConstantDelay(kind="constant", steps=0)
    synapses = Synapses(n_pre, n_post, name="test", seed=0, weights=weights, delay=delay, **shared)
    return Layer(neuron_parameters(spec.neuron, n_post, 1.0, **shared), spike_function(spec.neuron), synapses)


def test_going_back_twice_is_refused() -> None:
    total = FUSED(torch.ones(5, 2, 3), [layer()]).totals[0].sum()
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="present the batch again"):
        total.backward()


def test_an_input_that_is_changed_before_the_way_back_is_noticed() -> None:
    x = torch.rand(5, 2, 3)
    total = FUSED(x, [layer()]).totals[0].sum()
    x.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_two_presentations_can_wait_for_their_gradients_at_once() -> None:
    """Their tapes are not the same buffer."""
    one = layer()
    assert one.synapses is not None
    inputs = [torch.rand(9, 2, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]

    def gradients(both_first: bool) -> list[torch.Tensor]:
        assert one.synapses is not None
        losses = [] if both_first else [FUSED(inputs[0], [one]).totals[0].square().sum()]
        if both_first:
            losses = [FUSED(x, [one]).totals[0].square().sum() for x in inputs]
        found = [torch.autograd.grad(losses[0], one.synapses.weight)[0]]
        second = losses[1] if both_first else FUSED(inputs[1], [one]).totals[0].square().sum()
        return [*found, torch.autograd.grad(second, one.synapses.weight)[0]]

    assert all(torch.equal(a, b) for a, b in zip(gradients(True), gradients(False), strict=True))


def test_an_input_that_does_not_fit_is_refused() -> None:
    for engine in (FUSED, REFERENCE):
        with pytest.raises(ValueError, match=r"takes \[T, B, 3\]"):
            engine(torch.ones(5, 2, 4), [layer()])
        with pytest.raises(ValueError, match="through synapses"):
            engine(SpikeTrain.pack(torch.ones(5, 2, 4)), [replace(layer(), synapses=None)])


def test_a_spec_gets_the_engine_that_it_names_and_no_other() -> None:
    cpu = torch.device("cpu")
    names = {name: choose_engine(name, cpu).name for name in ("auto", "fused", "reference")}
    assert names == {"auto": "fused-cpu", "fused": "fused-cpu", "reference": "reference"}
    with pytest.raises(EngineUnavailable, match="reference"):
        choose_engine("fused", torch.device("meta"))
