"""The README is true: its sessions run as they stand, its tables are those of the code, its links lead somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from service.cli.specfile import parse_yaml
from service.client import DEFAULT_URL
from snncore.spec import parse_job_spec
from tests.serving import Served, served

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOTES = ROOT / "docs" / "reproduction_notes"
"""Parts of docs/reproduction.md: their links lead somewhere from there."""
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent != NOTES),
]


def blocks(section: str, language: str) -> list[str]:
    """The code blocks of a section."""
    text = README.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("readme")) as running:
        yield running


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_the_curl_session_works_as_it_stands(service: Served, tmp_path: Path) -> None:
    (session,) = blocks("From the shell", "sh")
    assert len(session.splitlines()) == 5
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", session.replace(DEFAULT_URL, service.url)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "event: progress" in done.stdout
    assert '"state":"succeeded"' in done.stdout.replace(" ", "")
    curve = done.stdout[done.stdout.index("step,") :].split()
    assert len(curve) == 1 + 2  # a head, and a row for each of two epochs
    assert (tmp_path / "weights.safetensors").stat().st_size > 10_000


@pytest.mark.slow
def test_the_python_session_works_as_it_stands(service: Served, tmp_path: Path) -> None:
    (session,) = blocks("From Python", "python")
    assert len(session.splitlines()) == 5
    env = {**os.environ, "SPIKESMITH_URL": service.url}
    done = subprocess.run(
        [sys.executable, "-c", session], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("succeeded {")
    assert len(re.findall(r"0\.\d+", done.stdout.splitlines()[-1])) == 2


def test_the_job_spec_is_one() -> None:
    simple, _, *in_sequence = blocks("Command line", "yaml")
    for text in (simple, *in_sequence):
        assert parse_job_spec(parse_yaml(text, "README"))
        assert parse_job_spec(yaml.safe_load(text))


def test_the_sweep_is_one(tmp_path: Path) -> None:
    from service.settings import Settings
    from service.store.engine import Database
    from service.sweeps.submission import read_sweep

    _, text, *_ = blocks("Command line", "yaml")
    database = Database(f"sqlite:///{tmp_path}/none.db")  # nothing in this sweep has to be looked up
    assert len(read_sweep(parse_yaml(text, "README"), Settings(), database).points) == 6
    database.close()


def test_the_table_of_settings_is_that_of_the_code() -> None:
    script = ROOT / ".ci" / "settings_table.py"
    printed = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, cwd=ROOT)
    assert printed.stdout in README, "run `python .ci/settings_table.py --write`"


def test_every_variable_that_the_code_reads_is_documented() -> None:
    read = set()
    for package in ("snncore", "service", "worker"):
        for path in (ROOT / package).rglob("*.py"):
            read |= set(re.findall(r'environ(?:\.get\(|\[)"(SPIKESMITH_[A-Z_]+)"', path.read_text(encoding="utf-8")))
    assert "SPIKESMITH_URL" in read
    assert {name for name in read if f"`{name}`" not in README} == set()


def test_every_call_of_the_http_table_exists(tmp_path: Path) -> None:
    from service.app import create_app
    from service.settings import Settings

    paths = set(create_app(Settings(home=tmp_path, broker_url="redis://127.0.0.1:1")).openapi()["paths"])
    table = README.partition("\n## HTTP\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(?:[A-Z]+ )?(/v1/[^`]+|/healthz|/readyz|/metrics)`", table))
    assert len(named) > 10
    for path in named:
        pattern = re.sub(r"\\{[^}]*\\}", r"\\{[^}]+\\}", re.escape(path))
        assert any(re.fullmatch(pattern, known) for known in paths), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_targets_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    for path in re.findall(r"`((?:snncore|service|worker|migrations|tests|docs|benchmarks)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path
