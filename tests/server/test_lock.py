from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.server.lock import HomeInUse, HomeLock

HOLD = "import sys, time; fd = int(sys.argv[1]); print('held', flush=True); time.sleep(float(sys.argv[2]))"


def test_a_second_serve_on_the_same_folder_is_told_who_has_it(tmp_path: Path) -> None:
    first = HomeLock(tmp_path / "home", patience_s=0.0)
    first.write({"pid": os.getpid(), "url": "http://127.0.0.1:1"})
    with pytest.raises(HomeInUse, match=rf"process {os.getpid()}\) at http://127.0.0.1:1; stop it, or choose another"):
        HomeLock(tmp_path / "home", patience_s=60.0)
    first.release()
    HomeLock(tmp_path / "home", patience_s=0.0).release()


def test_a_service_that_is_winding_down_without_its_serve_is_waited_for(tmp_path: Path) -> None:
    first = HomeLock(tmp_path, patience_s=0.0)
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    first.write({"pid": dead.pid})
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(first.fd), "0.5"], pass_fds=(first.fd,), stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    os.close(first.fd)
    with pytest.raises(HomeInUse):
        HomeLock(tmp_path, patience_s=0.0)
    second = HomeLock(tmp_path, patience_s=30.0)
    assert child.wait() == 0
    assert second.read() == {"pid": dead.pid}
    second.release()
    child.stdout.close()


def test_the_folder_is_for_this_user_only(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path / "home", patience_s=0.0)
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0
    lock.release()
