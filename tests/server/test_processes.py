from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from service.server import processes
from service.server.processes import GUARD, Child, describe_exit

SLEEP = [sys.executable, "-I", "-S", "-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-I",
    "-S",
    "-c",
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open(sys.argv[1], 'w'); time.sleep(600)",
]


def eventually(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not come about in time"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_child_that_dies_is_started_again_later_and_later(caplog: pytest.LogCaptureFixture) -> None:
    child = Child("failing", [sys.executable, "-I", "-S", "-c", "raise SystemExit(3)"])
    child.start()
    pids = set()

    def started_three_times() -> bool:
        child.keep_alive()
        pids.add(child.last_pid)
        return len(pids) == 3

    with caplog.at_level(logging.WARNING):
        eventually(started_three_times)
    child.stop(5.0)
    assert [record.getMessage() for record in caplog.records[:2]] == [
        "failing ended (exit code 3), starting it again in 0.2 s",
        "failing ended (exit code 3), starting it again in 0.4 s",
    ]


def test_a_child_that_was_killed_comes_back() -> None:
    child = Child("sleeper", SLEEP)
    child.start()
    before = child.last_pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    eventually(lambda: (child.keep_alive(), child.running and child.last_pid != before)[1])
    child.stop(5.0)
    assert child.last_pid is None


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    child = Child("stubborn", [*STUBBORN, str(tmp_path / "up")])
    child.start()
    pid = child.last_pid
    assert pid is not None
    eventually((tmp_path / "up").exists)
    child.stop(0.2)
    assert gone(pid)


def test_a_child_does_not_outlive_a_parent_that_is_killed() -> None:
    code = (
        "import subprocess, sys, os, time\n"
        f"child = subprocess.Popen([sys.executable, '-I', '-S', {GUARD!r}, str(os.getpid()), *{SLEEP!r}],"
        " stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert not gone(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    eventually(lambda: gone(pid))


def test_a_child_whose_parent_is_gone_already_does_not_start() -> None:
    not_our_pid = os.getpid() + 1
    result = subprocess.run([sys.executable, "-I", "-S", GUARD, str(not_our_pid), *SLEEP], timeout=20, check=False)
    assert result.returncode == 1


def test_where_the_kernel_does_not_help_the_guard_watches() -> None:
    watch = (
        f"import sys; sys.path.insert(0, {str(Path(GUARD).parent)!r}); import guard, os\n"
        f"sys.exit(guard.watch(os.getppid(), {SLEEP!r}))"
    )
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {watch!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    guard_pid = int(parent.stdout.readline())
    (sleeper,) = psutil.Process(guard_pid).children()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    eventually(lambda: gone(guard_pid) and gone(sleeper.pid))


@pytest.mark.parametrize(
    ("code", "text"),
    [(0, "exit code 0"), (-9, "killed by SIGKILL"), (-11, "killed by SIGSEGV"), (-250, "killed by signal 250")],
)
def test_an_exit_is_described(code: int, text: str) -> None:
    assert describe_exit(code) == text


def test_a_group_that_is_gone_can_be_killed() -> None:
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", "pass"], start_new_session=True)
    process.wait()
    processes.kill_group(process.pid, signal.SIGKILL)
