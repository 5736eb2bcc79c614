"""`make demo`, as a newcomer runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.slow


def run_demo(folder: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "service.cli", "demo"]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=560
    )


def processes_that_mention(text: str) -> list[str]:
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        words = [*(process.info["cmdline"] or []), *(process.info["environ"] or {}).values()]
        if any(text in word for word in words):
            found.append(" ".join(process.info["cmdline"] or []))
    return found


def test_the_demo_reads_digits_draws_pictures_and_leaves_nothing_running(tmp_path: Path) -> None:
    # What lies around in the environment or in the folder is not the demo's business.
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://nobody@127.0.0.1:1/nothing\n")
    done = run_demo(tmp_path, {"BROKER_URL": "redis://127.0.0.1:1"})
    assert done.returncode == 0, done.stdout + done.stderr
    accuracy = re.search(r"reads ([\d.]+)% of the digits", done.stdout)
    assert accuracy is not None
    assert float(accuracy[1]) >= 93
    assert re.search(r"http://127\.0\.0\.1:\d+/v1/jobs/job_\w+/result", done.stdout)
    for picture in ("learning_curve.png", "raster.png"):
        assert (tmp_path / "demo-output" / picture).read_bytes().startswith(b"\x89PNG")
    assert processes_that_mention(str(tmp_path / "demo-output")) == []


def test_a_demo_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "demo-output").mkdir()
    (tmp_path / "demo-output" / "data").write_text("a file where the folder should be")
    done = run_demo(tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "demo-output" in done.stderr
