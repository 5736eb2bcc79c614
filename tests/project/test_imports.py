"""What must stay light, and which package may import which."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BLOCK = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Blocked())
import importlib
importlib.import_module({module!r})
"""


def import_without(module: str, *blocked: str) -> None:
    code = BLOCK.format(module=module, blocked=set(blocked))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "module",
    [
        "service.app",
        "service.cli.app",
        "service.client",
        "service.migrate",
        "service.server.serve",
        "snncore",
        "snncore.events",
        "snncore.presets",
        "snncore.spec",
        "worker.app",
    ],
)
def test_nothing_but_training_needs_torch(module: str) -> None:
    import_without(module, "torch")


def test_the_client_needs_nothing_of_the_rest() -> None:
    import_without("service.client", "torch", "matplotlib", "pyarrow", "fastapi", "sqlalchemy", "celery", "snncore")


def test_the_command_line_starts_without_loading_the_service() -> None:
    import_without("service.cli.app", "torch", "matplotlib", "pyarrow", "fastapi", "sqlalchemy", "celery", "snncore")


def test_the_block_blocks() -> None:
    with pytest.raises(AssertionError, match="blocked: torch"):
        import_without("snncore.training", "torch")


def test_packages_import_along_the_arrows_only() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
