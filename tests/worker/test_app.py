from __future__ import annotations

import os
import subprocess
import sys


def test_a_worker_without_a_broker_says_what_it_needs() -> None:
    env = {name: value for name, value in os.environ.items() if name not in {"BROKER_URL", "SPIKESMITH_BROKER_URL"}}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "worker"], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "BROKER_URL is not set" in done.stderr


def test_the_worker_process_never_imports_torch() -> None:
    """Neither a fork nor a thread of it can then inherit a CUDA context or a lock of OpenMP."""
    code = "import sys, worker.app, worker.supervisor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], timeout=60, check=False).returncode == 0
