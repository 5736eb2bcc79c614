"""What counts as right, what it costs to be wrong, and how good an ideal observer would be."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from snncore.datasets import load
from snncore.encoders import encode
from snncore.observers import chance_of_argmax, chance_of_winners
from snncore.presets import get_preset
from snncore.readouts import Reading
from snncore.spec import deep_merge, parse_job_spec
from snncore.spikes import SpikeTrain
from snncore.streams import stream
from snncore.tasks import make_task
from tests.snncore.jobs import tiny_spec


def k_winners_parts(n: int, k: int) -> dict[str, Any]:
    return {
        "task": {"kind": "k_winners", "n_outputs": n, "k": k},
        "dataset": {"kind": "exponential", "n_features": n, "n_train": 300},
        "architecture": {"readout": {"kind": "spike_count", "recurrent": True}},
    }


def k_winners_job(n: int, k: int) -> Any:
    return tiny_spec(**k_winners_parts(n, k))


def recall_job(loss: str = "cross_entropy") -> Any:
    readout = {"kind": "leaky", "reduction": "mean_by_frame"}
    if loss in ("rate_mse", "borders"):
        readout = {"kind": "spike_count", "by_frame": True}
    return tiny_spec(
        task={"kind": "recall", "loss": loss},
        dataset={"kind": "store_recall", "n_values": 3, "n_slots": 4, "n_train": 256},
        encoding={"duration_ms": 40.0, "frames": 4},
        architecture={"readout": readout},
    )


def rates(*rows: list[float]) -> Reading:
    values = torch.tensor(rows)[:, None]
    return Reading(values, values)


def test_the_winners_are_those_with_fewer_than_k_larger_inputs() -> None:
    task: Any = make_task(k_winners_job(4, 2))
    assert task.winners(torch.tensor([[0.1, 0.9, 0.3, 0.2]])).tolist() == [[False, True, True, False]]


def test_a_sample_is_right_if_every_output_is_on_its_side_of_the_lower_border() -> None:
    task = make_task(k_winners_job(3, 1))
    x = torch.tensor([[0.1, 0.9, 0.3]]).repeat(4, 1)
    judged = task.judge(rates([0, 20.5, 20], [0, 20, 0], [21, 60, 0], [20, 300, 20]), x, None)
    assert judged.correct.tolist() == [True, False, False, True]
    assert judged.label.tolist() == [1] * 4


def test_the_border_of_the_decision_can_lie_above_that_of_the_loss() -> None:
    job = tiny_spec(
        **k_winners_parts(3, 1) | {"task": {"kind": "k_winners", "n_outputs": 3, "k": 1, "borders": {"zero_hz": 5.0}}}
    )
    judged = make_task(job).judge(rates([15, 60, 5]), torch.tensor([[0.1, 0.9, 0.3]]), None)
    assert judged.correct.tolist() == [True]
    assert float(judged.loss) == pytest.approx(10)


def test_the_loss_of_k_winners_counts_what_lies_between_the_borders_from_both_sides() -> None:
    task = make_task(k_winners_job(3, 1))
    x = torch.tensor([[0.1, 0.9, 0.3], [0.9, 0.1, 0.3]])
    judged = task.judge(rates([30.0, 40.0, 10.0], [70.0, 0.0, 20.0]), x, None)
    assert float(judged.loss.detach()) == pytest.approx(((30 - 20) + (50 - 40) + 0) / 2)


def test_recall_is_judged_where_something_is_recalled_and_nowhere_else() -> None:
    task = make_task(recall_job())
    y = torch.tensor([[-1, -1, 2, -1], [-1, -1, 0, 1]])
    values = torch.zeros(2, 4, 3, requires_grad=True)
    bias = torch.zeros(2, 4, 3)
    bias[0, 2, 2], bias[1, 2, 1], bias[1, 3, 1] = 5, 5, 5
    judged = task.judge(Reading(values + bias, None), torch.zeros(2, 20), y)
    assert (judged.correct & (judged.label >= 0)).nonzero().tolist() == [[0, 2], [1, 3]]
    shown = (values + bias)[y >= 0].detach()
    assert float(judged.loss.detach()) == pytest.approx(float(torch.nn.functional.cross_entropy(shown, y[y >= 0])))
    judged.loss.backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    assert values.grad.abs().sum(2).nonzero().tolist() == (y >= 0).nonzero().tolist()


def test_the_loss_of_rates_compares_them_with_a_one_hot_code() -> None:
    task = make_task(recall_job("rate_mse"))
    y = torch.tensor([[-1, 1, -1, -1]])
    values = torch.full((1, 4, 3), 999.0)
    values[0, 1] = torch.tensor([20.0, 150.0, 0.0])
    judged = task.judge(Reading(values, values), torch.zeros(1, 20), y)
    assert float(judged.loss.detach()) == pytest.approx(0.1**2 + 0.25**2)


def test_straight_through_sees_the_winner_and_learns_by_the_softmax() -> None:
    task = make_task(recall_job("straight_through"))
    y = torch.tensor([[-1, 1, -1, -1]])
    values = torch.tensor([[[0.0] * 3, [1.0, 0.5, 0.0], [0.0] * 3, [0.0] * 3]], requires_grad=True)
    judged = task.judge(Reading(values, None), torch.zeros(1, 20), y)
    assert float(judged.loss.detach()) == pytest.approx(2.0)  # the winner is another: one too much, one too little
    judged.loss.backward()  # type: ignore[no-untyped-call]
    soft = values.detach()[0, 1].softmax(0).requires_grad_()
    jacobian = torch.autograd.functional.jacobian(lambda v: v.softmax(0), values.detach()[0, 1])
    wrong = 2 * torch.tensor([1.0, -1.0, 0.0])
    assert values.grad is not None
    assert values.grad[0, 1].tolist() == pytest.approx((jacobian.T @ wrong).tolist(), rel=1e-5)
    assert soft.shape == (3,)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_observer_of_winners_guesses_among_equals(k: int) -> None:
    """Against all orders in which equal counts can be broken."""
    draw = np.random.default_rng(0)
    for _ in range(200):
        seen = draw.integers(0, 4, 5)
        winners = np.zeros(5, bool)
        winners[draw.permutation(5)[:k]] = True
        orders = list(itertools.permutations(range(5)))
        hits = 0
        for order in orders:
            ranked = sorted(range(5), key=lambda i, order=order: (-seen[i], order[i]))  # type: ignore[misc]
            hits += set(ranked[:k]) == set(np.flatnonzero(winners))
        chance = chance_of_winners(torch.tensor(seen)[None], torch.tensor(winners)[None])
        assert float(chance) == pytest.approx(hits / len(orders))
    one = torch.tensor([[3, 1, 3, 0]])
    assert chance_of_argmax(one, torch.tensor([2])).tolist() == [0.5]


def test_equal_inputs_win_together_and_the_observer_takes_as_many_of_each_sample() -> None:
    seen = torch.tensor([[5, 5, 1], [5, 3, 1]])
    winners = torch.tensor([[True, True, False], [True, False, False]])
    assert chance_of_winners(seen, winners).tolist() == [1.0, 1.0]
    assert chance_of_winners(seen.flip(0), winners).tolist() == [1.0, 0.5]


@pytest.mark.parametrize(
    ("preset", "ceiling"),
    [
        ("renner/softmax-exp-4", 0.971),
        ("renner/kwta-5-1", 0.954),
        pytest.param("renner/softmax-exp-32", 0.952, marks=pytest.mark.slow),
        pytest.param("renner/kwta-32-1", 0.938, marks=pytest.mark.slow),
        pytest.param("renner/kwta-32-3", 0.840, marks=pytest.mark.slow),
        pytest.param("renner/softmax-negative-32x16", 0.954, marks=pytest.mark.slow),
    ],
)
def test_the_ceilings_of_the_presets_are_those_of_the_observer(preset: str, ceiling: float) -> None:
    job = parse_job_spec(deep_merge(get_preset(preset).spec, {"dataset": {"n_test": 2_000}}))
    task, test = make_task(job), load(job.dataset, 0).test
    x = torch.from_numpy(test.x)
    inputs = encode(job.encoding, x, stream(0, "test"))
    assert isinstance(inputs, SpikeTrain)
    chances = task.chance_of_observer(inputs, inputs.counts(), x, None)
    assert chances is not None
    assert float(chances.mean()) == pytest.approx(ceiling, abs=0.02)
    assert get_preset(preset).ceiling is not None
    assert get_preset(preset).ceiling.value == ceiling  # type: ignore[union-attr]


def test_an_observer_of_store_and_recall_remembers_everything_that_is_loud_enough() -> None:
    job = parse_job_spec(get_preset("renner/store-recall").spec)
    task, test = make_task(job), load(job.dataset, 0).validation
    x, y = torch.from_numpy(test.x), torch.from_numpy(test.y)
    inputs = encode(job.encoding, x, stream(0, "test"))
    assert isinstance(inputs, SpikeTrain)
    chances = task.chance_of_observer(inputs, inputs.counts(), x, y)
    assert chances is not None
    assert len(chances) == int((y >= 0).sum())
    assert float(chances.mean()) == 1
