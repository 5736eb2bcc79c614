"""The CUDA engine against the reference engine: on a CUDA device, or without one in Triton's interpreter.

Weights and inputs are small multiples of a power of two, so that the sums of currents are exact in any order, and
spikes and potentials must be the same bits.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from snncore.engines.interface import FULL, Activity, Backward, Checkpointed, Engine, Full, Input, Layer, Truncated
from snncore.engines.reference import ReferenceEngine
from snncore.errors import EngineUnavailable
from snncore.neurons import neuron_parameters
from snncore.spec import form_of
from snncore.spec.synapses import ConstantDelay, NormalWeights, UniformDelay
from snncore.spikes import SpikeTrain
from snncore.surrogates import spike_function
from snncore.synapses import Synapses
from tests.snncore.engine_cases import SURROGATES, surrogate
from tests.snncore.jobs import tiny_spec

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
INTERPRETED = "0" if torch.cuda.is_available() else "1"

with pytest.MonkeyPatch.context() as patch:
    # Triton looks at it when the module with the kernels is imported, and where it imports parts of itself later.
    patch.setenv("TRITON_INTERPRET", INTERPRETED)
    pytest.importorskip("triton", reason="Triton is not installed: THE CUDA ENGINE IS NOT TESTED")
    from snncore.engines.cuda import FusedCudaEngine, kernels
    from snncore.engines.cuda import engine as cuda

PRECISIONS = [(torch.float32, 1e-4), (torch.float64, 1e-9)]

LIF: dict[str, Any] = {"kind": "lif", "tau_mem_ms": 8.0, "v_threshold": 0.5}
ALIF: dict[str, Any] = {"kind": "alif", "tau_mem_ms": 8.0, "tau_adapt_ms": 15.0, "beta_adapt": 0.8, "v_threshold": 0.5}
MIXED: dict[str, Any] = {
    "kind": "mixed",
    "populations": [
        {"proportion": 1.0, "neuron": {**LIF, "n_refractory": 1}},
        {"proportion": 1.0, "neuron": {**ALIF, "tau_mem_ms": 12.0, "n_refractory": 1}},
    ],
}
VALUE: dict[str, Any] = {"reset": "value", "v_reset": -0.2}
NEURONS: dict[str, dict[str, Any]] = {
    "lif": LIF,
    "alif": ALIF,
    "mixed": MIXED,
    "lif same step": {**LIF, "reset_timing": "same_step"},
    "alif same step": {**ALIF, "reset_timing": "same_step", "input_scaling": "one_minus_decay", "v_threshold": 0.1},
    "value": {**LIF, **VALUE},
    "value same step": {**LIF, **VALUE, "reset_timing": "same_step"},
    "alif value": {**ALIF, **VALUE},
    "none": {**LIF, "reset": "none", "input_scaling": "dt_over_tau", "v_threshold": 0.2},
    "alif none": {**ALIF, "reset": "none", "v_threshold": 1.5},
    "detached": {**LIF, "detach_reset": True},
    "alif detached": {**ALIF, "detach_reset": True, "reset_timing": "same_step"},
    "value detached": {**LIF, **VALUE, "detach_reset": True},
    "non-negative": {**ALIF, "non_negative": True},
    "non-negative value": {**LIF, **VALUE, "non_negative": True, "reset_timing": "same_step"},
    "refractory": {**LIF, "n_refractory": 2},
    "alif refractory": {**ALIF, "n_refractory": 3, "surrogate_scaling": "raw"},
    "greater": {**LIF, "fires_at": "greater", "v_threshold": 0.75},
}
DELAYS: dict[str, Any] = {
    "delay 1": ConstantDelay(kind="constant", steps=1),
    "delay 3": ConstantDelay(kind="constant", steps=3),
    "delays 1 to 4": UniformDelay(kind="uniform", low=1, high=4),
}


@pytest.fixture(autouse=True)
def interpreter_and_one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TRITON_INTERPRET", INTERPRETED)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def synapses(
    n_pre: int, n_post: int, delay: Any, dtype: torch.dtype, *, excites: bool = True, autapses: bool = True
) -> Synapses:
    """Enough for most neurons to fire if a synapse `excites` on average, otherwise as much of it as of inhibition."""
    made = Synapses(
        n_pre,
        n_post,
        name=f"{n_pre} to {n_post}",
        seed=5,
        weights=NormalWeights(kind="normal"),
        delay=delay,
        autapses=autapses,
        dtype=dtype,
        device=DEVICE,
    )
    scale = 2 / 2 ** (n_pre - 1).bit_length()
    drawn = numbers(n_post, n_pre, dtype=dtype, seed=n_pre)
    with torch.no_grad():
        made.weight.copy_((drawn if excites else 2 * (drawn - 0.5)) * scale)
        if not autapses:
            made.weight.fill_diagonal_(0)
    return made


def numbers(*shape: int, dtype: torch.dtype, seed: int = 1) -> Tensor:
    """Multiples of 2^-4 from -1/2 to 3/2."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(-8, 25, shape, generator=draw).to(DEVICE, dtype) / 16


def layer(
    neuron: dict[str, Any],
    n: int,
    dtype: torch.dtype,
    *,
    learn: bool = True,
    bias: bool = False,
    ff: Synapses | None = None,
    rec: Synapses | None = None,
) -> Layer:
    """With `learn`, the parameters of the neurons get a gradient too."""
    spec = tiny_spec(neuron=neuron).neuron
    p = neuron_parameters(spec, n, 1.0, dtype=dtype, device=DEVICE)
    if learn:
        names = ("decay_mem", "input_scale", "v_threshold", "decay_adapt", "beta_adapt")
        p = replace(p, **{name: getattr(p, name).clone().requires_grad_() for name in names})
    return Layer(
        neurons=p,
        spike=spike_function(form_of(spec)),
        synapses=ff,
        recurrence=rec,
        bias=(numbers(n, dtype=dtype, seed=9) / 2 - 0.5).requires_grad_() if bias else None,
    )


def leaves(x: Input, layers: Sequence[Layer], projection: Synapses | None) -> dict[str, Tensor]:
    """All tensors that ask for a gradient, by name."""
    found: dict[str, Tensor | None] = {"x": None if isinstance(x, SpikeTrain) else x}
    found["projection"] = projection.weight if projection else None
    for i, each in enumerate(layers):
        found[f"bias {i}"] = each.bias
        found[f"synapses {i}"] = each.synapses.weight if each.synapses else None
        found[f"recurrence {i}"] = each.recurrence.weight if each.recurrence else None
        for name in ("decay_mem", "input_scale", "v_threshold", "decay_adapt", "beta_adapt"):
            found[f"{name} {i}"] = getattr(each.neurons, name)
    return {name: leaf for name, leaf in found.items() if leaf is not None and leaf.requires_grad}


@dataclass
class Ran:
    activity: Activity
    gradients: dict[str, Tensor]


def run(engine: Engine, x: Input, layers: Sequence[Layer], backward: Backward, projection: Synapses | None) -> Ran:
    """One presentation, and the gradients of a loss in which all that an activity has takes part."""
    n_steps = x.n_steps if isinstance(x, SpikeTrain) else x.shape[0]
    dtype = layers[0].neurons.decay_mem.dtype
    kernel = torch.linspace(0.5, 2.0, n_steps, dtype=dtype, device=DEVICE)
    activity = engine(x, layers, kernel=kernel, projection=projection, backward=backward, keep_z=True, keep_v=True)
    parts = [*activity.totals, activity.weighted, activity.projected, activity.z]
    draw = torch.Generator().manual_seed(7)
    loss = torch.zeros((), dtype=dtype, device=DEVICE)
    for part in parts:
        if part is not None:
            loss = loss + (part * torch.randn(part.shape, dtype=dtype, generator=draw).to(DEVICE)).sum()
    asked = leaves(x, layers, projection)
    gradients = torch.autograd.grad(loss, list(asked.values()), allow_unused=True, materialize_grads=True)
    return Ran(activity, dict(zip(asked, gradients, strict=True)))


def compare(
    x: Input,
    layers: Sequence[Layer],
    tolerance: float,
    *,
    backward: Backward = FULL,
    projection: Synapses | None = None,
    fires: bool = True,
    passes: bool = True,
) -> float:
    """Both engines; the largest error of a gradient, relative to its norm. `passes`: whether one passes the spikes."""
    expected = run(ReferenceEngine(), x, layers, Full() if isinstance(backward, Checkpointed) else backward, projection)
    got = run(FusedCudaEngine(), x, layers, backward, projection)

    for train, theirs in zip(got.activity.spikes, expected.activity.spikes, strict=True):
        assert torch.equal(train.words, theirs.words)
        if fires:
            assert 0.02 < float(train.dense(torch.float64).mean()) < 0.95
            assert float(train.dense(torch.float64).amax(dim=(0, 1)).mean()) > 0.5
    for field in ("z", "v", "projected"):
        ours, reference = getattr(got.activity, field), getattr(expected.activity, field)
        assert (ours is None and reference is None) or torch.equal(ours, reference), field
    assert got.activity.v is not None
    assert not got.activity.v.requires_grad
    for ours, reference in zip(got.activity.totals, expected.activity.totals, strict=True):
        assert torch.equal(ours, reference)
    assert got.activity.weighted is not None
    assert expected.activity.weighted is not None
    torch.testing.assert_close(got.activity.weighted, expected.activity.weighted)

    largest = 0.0
    for name, reference in expected.gradients.items():
        norm = float(reference.norm())
        error = float((got.gradients[name] - reference).norm())
        assert error <= tolerance * norm, f"gradient of {name}: off by {error}, norm {norm}"
        largest = max(largest, error / norm if norm else 0.0)
        assert not (fires and name.startswith(("x", "synapses", "recurrence"))) or (norm > 0) == passes, name
    return largest


def pair(
    neuron: dict[str, Any], dtype: torch.dtype, delay: Any = DELAYS["delay 1"], *, learn: bool = True
) -> list[Layer]:
    """A layer of 6 that is fed the input itself, and one of 5 with recurrent synapses: each form of the kernels."""
    return [
        layer(neuron, 6, dtype, learn=learn, bias=True),
        layer(
            neuron,
            5,
            dtype,
            learn=learn,
            ff=synapses(6, 5, ConstantDelay(kind="constant", steps=1), dtype),
            rec=synapses(5, 5, delay, dtype, excites=False, autapses=False),
        ),
    ]


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_a_feed_forward_and_a_recurrent_layer(dtype: torch.dtype, tolerance: float) -> None:
    x = numbers(8, 2, 6, dtype=dtype).requires_grad_()
    compare(x, pair(MIXED, dtype, DELAYS["delays 1 to 4"]), tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("neuron", NEURONS)
def test_neurons(neuron: str, dtype: torch.dtype, tolerance: float) -> None:
    x = numbers(10, 2, 6, dtype=dtype).requires_grad_()
    compare(x, pair(NEURONS[neuron], dtype), tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("scaling", ["scaled", "raw"])
@pytest.mark.parametrize("kind", SURROGATES)
def test_surrogates(kind: str, scaling: str, dtype: torch.dtype, tolerance: float) -> None:
    form = surrogate(kind, width=0.8, dampening=0.4, lobe_height=0.3, lobe_width=2.5)
    neuron = {**ALIF, "surrogate": form, "surrogate_scaling": scaling}
    x = numbers(8, 2, 6, dtype=dtype).requires_grad_()
    compare(x, pair(neuron, dtype), tolerance, passes=kind != "zero")


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("autapses", [True, False])
@pytest.mark.parametrize("delay", DELAYS)
def test_recurrent_synapses(delay: str, autapses: bool, dtype: torch.dtype, tolerance: float) -> None:
    one = layer(ALIF, 7, dtype, rec=synapses(7, 7, DELAYS[delay], dtype, excites=False, autapses=autapses))
    compare(numbers(9, 2, 7, dtype=dtype).requires_grad_(), [one], tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("backward", [Checkpointed(3), Truncated(4)], ids=str)
def test_backward_strategies(backward: Backward, dtype: torch.dtype, tolerance: float) -> None:
    x = numbers(10, 2, 6, dtype=dtype).requires_grad_()
    compare(x, pair({**ALIF, "n_refractory": 1}, dtype, DELAYS["delay 3"]), tolerance, backward=backward)


@pytest.mark.slow
@pytest.mark.parametrize("neuron", ["mixed", "alif same step", "value same step", "non-negative"])
@pytest.mark.parametrize(
    "backward", [Checkpointed(1), Checkpointed(4), Checkpointed(50), Truncated(1), Truncated(4)], ids=str
)
def test_backward_strategies_of_all_kinds(backward: Backward, neuron: str) -> None:
    x = numbers(9, 2, 6, dtype=torch.float64).requires_grad_()
    compare(x, pair(NEURONS[neuron], torch.float64, DELAYS["delays 1 to 4"]), 1e-9, backward=backward)


def test_checkpoints_closer_than_the_delay_of_the_input() -> None:
    delay = UniformDelay(kind="uniform", low=0, high=4)
    one = layer(LIF, 5, torch.float64, ff=synapses(6, 5, delay, torch.float64))
    x = numbers(9, 2, 6, dtype=torch.float64).requires_grad_()
    compare(x, [one], 1e-9, backward=Checkpointed(2))


@pytest.mark.parametrize(("n_steps", "batch"), [(1, 3), (6, 1), (1, 1)])
def test_one_step_or_one_sample(n_steps: int, batch: int) -> None:
    dtype = torch.float64
    at_once = ConstantDelay(kind="constant", steps=0)
    rec = synapses(5, 5, DELAYS["delay 3"], dtype)
    layers = [
        layer(ALIF, 6, dtype, ff=synapses(4, 6, at_once, dtype)),
        layer(ALIF, 5, dtype, ff=synapses(6, 5, at_once, dtype), rec=rec),
    ]
    compare(numbers(n_steps, batch, 4, dtype=dtype).requires_grad_(), layers, 1e-9, fires=False)


def test_spikes_in_and_projected_spikes_out() -> None:
    dtype = torch.float32
    train = SpikeTrain.pack(numbers(8, 3, 9, dtype=dtype) > 0.75)
    ff = synapses(9, 6, ConstantDelay(kind="constant", steps=1), dtype)
    projection = synapses(6, 3, UniformDelay(kind="uniform", low=0, high=2), dtype)
    compare(train, [layer(LIF, 6, dtype, ff=ff)], 1e-4, projection=projection)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_more_samples_and_neurons_than_a_block(dtype: torch.dtype, tolerance: float) -> None:
    ff, rec = (synapses(70, 70, DELAYS["delay 1"], dtype) for _ in range(2))
    layers = [layer(LIF, 70, dtype), layer(ALIF, 70, dtype, ff=ff, rec=rec)]
    compare(numbers(5, 18, 70, dtype=dtype).requires_grad_(), layers, tolerance)


@pytest.mark.parametrize(("fires_at", "expected"), [("greater_equal", [0.0, 1.0, 1.0]), ("greater", [0.0, 0.0, 1.0])])
def test_at_the_threshold(fires_at: str, expected: list[float]) -> None:
    x = torch.tensor([[[0.4375, 0.5, 0.5625]]], device=DEVICE)
    (total,) = FusedCudaEngine()(x, [layer({**LIF, "fires_at": fires_at}, 3, torch.float32)]).totals
    assert total.tolist() == [expected]


def test_weights_alone_learn() -> None:
    """The parameters of the neurons then have no part in the kernels' work, and the input has no gradient."""
    compare(numbers(8, 2, 6, dtype=torch.float32), pair(LIF, torch.float32, learn=False), 1e-4)


def test_a_frozen_layer_passes_the_gradient_on_and_its_spikes_alone_are_read() -> None:
    """As an embedded network is, with an output for each frame."""
    dtype = torch.float64
    first = synapses(6, 6, DELAYS["delay 1"], dtype)
    frozen = [synapses(6, 5, DELAYS["delay 1"], dtype), synapses(5, 5, DELAYS["delays 1 to 4"], dtype, excites=False)]
    for each in frozen:
        each.weight.requires_grad_(False)
    layers = [
        layer(LIF, 6, dtype, learn=False, ff=first),
        layer(LIF, 5, dtype, learn=False, ff=frozen[0], rec=frozen[1]),
    ]
    x = SpikeTrain.pack(numbers(10, 2, 6, dtype=dtype) > 0.75)
    read, gradients = [], []
    for engine in (ReferenceEngine(), FusedCudaEngine()):
        activity = engine(x, layers, keep_z=True)
        assert activity.weighted is None
        assert activity.z is not None
        read.append(activity.z)
        loss = (activity.z * numbers(*activity.z.shape, dtype=dtype, seed=3)).sum()
        gradients += torch.autograd.grad(loss, first.weight)
    assert torch.equal(*read)
    assert read[0].mean() > 0.02
    assert gradients[0].norm() > 0
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-9, atol=1e-12)


def test_an_input_that_is_repeated_rather_than_stored() -> None:
    row = numbers(1, 2, 6, dtype=torch.float32).requires_grad_()
    compare(row.expand(8, -1, -1), [layer(LIF, 6, torch.float32)], 1e-4)


def test_without_a_gradient_nothing_is_kept() -> None:
    x = numbers(8, 2, 6, dtype=torch.float32)
    layers = pair(ALIF, torch.float32)
    with torch.no_grad():
        got = FusedCudaEngine()(x, layers)
        expected = ReferenceEngine()(x, layers)
    assert (got.z, got.v, got.weighted, got.projected) == (None, None, None, None)
    assert not any(total.requires_grad for total in got.totals)
    assert all(torch.equal(a.words, b.words) for a, b in zip(got.spikes, expected.spikes, strict=True))


def test_a_spike_function_that_the_kernels_do_not_have() -> None:
    one = replace(layer(LIF, 6, torch.float32), spike=lambda v, threshold: torch.sigmoid(v - threshold))
    with pytest.raises(ValueError, match="SurrogateSpike"):
        FusedCudaEngine()(numbers(2, 1, 6, dtype=torch.float32), [one])


def test_without_triton_the_engine_says_what_to_take(monkeypatch: pytest.MonkeyPatch) -> None:
    import snncore.engines.cuda

    monkeypatch.delattr(snncore.engines.cuda, "kernels")
    monkeypatch.setitem(sys.modules, "snncore.engines.cuda.kernels", None)
    cuda._kernels.cache_clear()
    with pytest.raises(EngineUnavailable, match=r"training\.engine 'reference'"):
        FusedCudaEngine()


@pytest.mark.skipif(DEVICE.type == "cuda", reason="the tensors of this test are in main memory")
def test_main_memory_is_for_the_interpreter_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FusedCudaEngine()
    monkeypatch.setattr(kernels, "INTERPRETED", False)
    with pytest.raises(EngineUnavailable, match="cpu"):
        engine(numbers(2, 1, 6, dtype=torch.float32), [layer(LIF, 6, torch.float32)])


COMPILE = """
import sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from snncore.engines.cuda import kernels

POINTERS = {"closed": "*i8", "wait_state": "*i32", "n_refractory": "*i32", "delays": "*i64"}
INTEGERS = {"n_steps", "n_steps_left", "size", "n_neurons", "lead", "batch", "n_delays", "window"}
CONSTANTS = {
    "RESET": "subtract", "SAME_STEP": False, "V_RESET": -0.2, "NON_NEGATIVE": True, "ADAPTIVE": True,
    "REFRACTORY": True, "INCLUSIVE": True,
    "KEEP_V": True, "KEEP_SLOW": True, "KEEP_TOTAL": True, "REPLAY": False, "DETACHED": False,
    "SURROGATE": "multi_gaussian", "DAMPENING": 0.3, "WIDTH": 1.0, "LOBE_HEIGHT": 0.15, "LOBE_WIDTH": 6.0,
    "SCALED": True, "PARAMETERS": True,
}
BLOCKS = {"alone": {"BLOCK": 128}, "recurrent": {"BLOCK_BATCH": 16, "BLOCK": 64, "BLOCK_PRE": 32}}
BARE = {
    "RESET": "value", "SAME_STEP": True, "NON_NEGATIVE": False, "ADAPTIVE": False, "REFRACTORY": False,
    "KEEP_V": False, "KEEP_SLOW": False,
    "KEEP_TOTAL": False, "SURROGATE": "triangle", "SCALED": False, "PARAMETERS": False,
}
# as the launcher does, what is one or None is a constant
NOTHING = dict.fromkeys(("n_steps", "batch", "lead", "n_delays", "window"), 1) | dict.fromkeys(
    ("a_tape", "closed", "total", "d_parameters")
)

for real in ("fp32", "fp64"):
    for name in ("forward_alone", "forward_recurrent", "backward_alone", "backward_recurrent"):
        direction, form = name.split("_")
        for constants in (CONSTANTS, CONSTANTS | {"REPLAY": True}, CONSTANTS | BARE | NOTHING):
            constants = constants | BLOCKS[form]
            kernel = getattr(kernels, name)
            given = {key: value for key, value in constants.items() if key in kernel.arg_names}
            signature = {
                key: "constexpr" if key in given else "i32" if key in INTEGERS else POINTERS.get(key, "*" + real)
                for key in kernel.arg_names
            }
            options = {"num_warps": 4, "num_stages": 1, "enable_fp_fusion": direction == "backward"}
            source = ASTSource(fn=kernel, signature=signature, constexprs=given)
            done = triton.compile(source, target=GPUTarget("cuda", 80, 32), options=options)
            assert done.asm["cubin"]
            contracted = "fma" in done.asm["ptx"]
            assert name != "forward_alone" or not contracted, "a product and a sum became one rounding"
            print(name, real, len(done.asm["cubin"]))
"""


@pytest.mark.slow
def test_the_kernels_compile_for_a_device(tmp_path: Path) -> None:
    """The interpreter takes more than the compiler does. What it makes runs on a device only."""
    if sys.platform != "linux":
        pytest.skip("Triton compiles on Linux only")
    done = subprocess.run(
        [sys.executable, "-c", COMPILE],
        env={"TRITON_CACHE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(done.stdout.splitlines()) == 24
