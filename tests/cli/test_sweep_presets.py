"""Presets that are sweeps, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.cli.conftest import Outcome

pytestmark = pytest.mark.usefixtures("held")
Spikesmith = Callable[..., Outcome]


def test_presets_mark_the_sweeps_among_them(spikesmith: Spikesmith) -> None:
    by_name = {line.split()[0]: line for line in spikesmith("presets").out.splitlines() if line.strip()}
    assert "6 x 3" in by_name["digits/surrogates"]
    assert " x " not in by_name["digits/lsnn"]


def test_the_grid_of_a_preset_is_taken_and_seeds_on_the_command_line_win(spikesmith: Spikesmith) -> None:
    made = json.loads(spikesmith("sweep", "--preset", "digits/surrogates", "--seeds", "5", "--json").out)
    assert (made["n_jobs"], made["seeds"], len(made["grid"]["neuron.surrogate"])) == (6, [5], 6)


def test_a_setting_that_misses_a_list_is_refused_with_its_place(spikesmith: Spikesmith) -> None:
    outcome = spikesmith("submit", "--preset", "digits/lsnn", "--set", "neuron.populations.4.proportion=1")
    assert outcome.code == 2
    assert "overrides.neuron.populations.4" in outcome.err
