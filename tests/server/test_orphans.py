from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

ADOPT = """
import subprocess, sys, time
from service.server.orphans import adopt_orphans, children, end_orphans, reap
adopt_orphans()
known = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
# A child that starts a sleeper, says so, and dies without waiting for it.
start_one = (
    "import subprocess, sys\\n"
    "sleeper = [sys.executable, '-c', 'import time; time.sleep(600)']\\n"
    "print(subprocess.Popen(sleeper, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)"
)
middle = subprocess.run([sys.executable, "-c", start_one], capture_output=True, text=True)
orphan = int(middle.stdout)
deadline = time.monotonic() + 20
while orphan not in children() and time.monotonic() < deadline:
    time.sleep(0.01)
assert reap({known.pid}) == {orphan}
end_orphans(0.2, except_for={known.pid})
assert known.poll() is None
known.kill()
known.wait()
print(orphan)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to a subreaper")
def test_orphans_of_dead_children_are_ended() -> None:
    done = subprocess.run([sys.executable, "-c", ADOPT], capture_output=True, text=True, timeout=60, check=True)
    assert not psutil.pid_exists(int(done.stdout))
