"""What an installation brings, and that it repeats."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("service", "worker", "snncore", "migrations")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def normalised(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, because building leaves folders behind."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(target)]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = target.glob("spikesmith-*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_data_file(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = [p for name in PACKAGES for p in (ROOT / name).rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert {str(path.relative_to(ROOT)) for path in wanted} - held == set()
    assert {"snncore/presets/digits/lsnn.yaml", "migrations/script.py.mako", "service/py.typed"} <= held
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in held)


@pytest.mark.slow
def test_what_is_installed_from_the_wheel_works_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import service.cli.app, snncore.presets, service.migrate, sys\n"
        "assert snncore.presets.__file__.startswith(sys.argv[1]), snncore.presets.__file__\n"
        "assert snncore.presets.get_preset('digits/lsnn').parse()\n"
        "from snncore.engines.cpu import native\n"
        "assert native.library() and str(native.LIBRARY).startswith(sys.argv[1]), native.LIBRARY\n"
        "service.migrate.upgrade('sqlite:///' + sys.argv[1] + '/x.db')\n"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-P", "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_dependency_is_pinned() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line) for line in lines), "one exact version a line"
    pinned = {normalised(line) for line in lines}
    # a GPU build of torch pins the triton that goes with it; tonic brings a stack of audio packages that no test needs
    apart = ("interpreter", "events")
    extras = {name: extra for name, extra in PROJECT["optional-dependencies"].items() if name not in apart}
    asked_for = [*PROJECT["dependencies"], *(requirement for extra in extras.values() for requirement in extra)]
    assert {normalised(r) for r in asked_for} - {"spikesmith"} - pinned == set()


def test_this_environment_is_the_pinned_one() -> None:
    freeze = [sys.executable, str(ROOT / ".ci" / "freeze.py")]
    found = subprocess.run(freeze, capture_output=True, text=True, check=True).stdout.splitlines()
    pinned = set((ROOT / "constraints.txt").read_text().splitlines())
    same = {line.partition("==")[0] for line in pinned}
    different = [line for line in found if line.partition("==")[0] in same and line not in pinned]
    assert different == []


def test_torch_is_the_one_version_in_every_place() -> None:
    texts = [(ROOT / name).read_text() for name in ("Makefile", "Dockerfile", "constraints.txt")]
    versions = {version for text in texts for version in re.findall(r"\btorch==([\d.]+\d)", text)}
    assert len(versions) == 1
    assert f"torch=={versions.pop().rpartition('.')[0]}.*" in PROJECT["dependencies"]


def test_make_lists_its_targets() -> None:
    done = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("demo", "test", "lint", "serve", "bench", "clean"):
        assert re.search(rf"^  make {target} +\w", done.stdout, re.MULTILINE), target
