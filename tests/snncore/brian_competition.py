"""The cases of `competition_cases` in brian2, an independent simulator (Stimberg, Brette & Goodman 2019).

brian2 gets the equations; how they are integrated, how spikes find their synapses and how traces fall between two
events is its own. It runs in a separate process: importing it takes over logging, warnings and uncaught exceptions.

When things happen in a step of brian2, so that input times are the ones of the case, to any step:

- slot `start`: input spikes whose delay is over act on g_e, run the rule for presynaptic spikes and set its trace;
- `groups`: V, g and theta move from t to t + dt; `thresholds`: spikes of both populations, found at t + dt;
- `synapses`: these act at once, on the other population and through the rule for postsynaptic spikes;
- `resets`: V = v_reset, theta += theta_plus.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from tests.snncore.competition_cases import Case, Outcome

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Request:
    """A case, and how brian2 is to integrate it; `rk4` with small steps is nearly exact."""

    case: Case
    dt_ms: float
    method: Literal["exponential_euler", "rk4"] = "rk4"


def simulate(requests: Sequence[Request]) -> list[Outcome]:
    """All of them in one process, since importing brian2 takes longer than a small simulation."""
    command = [sys.executable, "-m", "tests.snncore.brian_process"]
    with TemporaryDirectory() as folder:  # where brian2 logs
        environment = {**os.environ, "TMPDIR": folder}
        asked = pickle.dumps(list(requests))
        done = subprocess.run(command, input=asked, cwd=ROOT, env=environment, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    outcomes: list[Outcome] = pickle.loads(done.stdout)
    return outcomes
