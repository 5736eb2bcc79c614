"""What the command line does without a service."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Outcome

pytestmark = pytest.mark.usefixtures("nowhere")
Spikesmith = Callable[..., Outcome]


@pytest.mark.parametrize(
    "arguments",
    [
        ["jobs"],
        ["show", "job_1"],
        ["watch", "job_1"],
        ["submit", "--preset", "digits/lsnn"],
        ["cancel", "job_1"],
        ["raster", "job_1"],
        ["presets", "--json"],
        ["sweep", "--preset", "digits/lsnn"],
        ["sweeps"],
        ["sweeps", "table", "swp_1"],
    ],
)
def test_a_service_that_is_not_there_is_exit_code_3(spikesmith: Spikesmith, arguments: list[str]) -> None:
    outcome = spikesmith(*arguments)
    assert outcome.code == 3
    assert "http://127.0.0.1:1" in outcome.err
    assert "spikesmith serve" in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["submit"], "FILE or from --preset"),
        (["submit", "x.yaml", "--preset", "p"], "give one of the two"),
        (["submit", "missing.yaml"], "missing.yaml"),
        (["submit", "--preset", "p", "--set", "epochs"], "path=value"),
        (["submit", "--preset", "p", "--label", "x"], "key=value"),
        (["sweep"], "--grid preset=NAME"),
        (["sweep", "x.yaml", "--preset", "p"], "not from both"),
        (["sweep", "missing.yaml"], "missing.yaml"),
        (["sweep", "--preset", "p", "--grid", "training.epochs"], "path=value"),
        (["sweep", "--preset", "p", "--grid", "a=1", "--grid", "a=2"], "a was given before"),
        (["sweep", "--preset", "p", "--grid", "a=[1"], "not valid YAML"),
        (["sweep", "--preset", "p", "--seeds", "x"], "0:5 or 0,1,2"),
        (["sweep", "--preset", "p", "--seeds", "5:5"], "5:5"),
        (["sweep", "--preset", "p", "--max-parallel", "0"], "--max-parallel"),
        (["sweeps", "table", "swp_1", "--format", "xml"], "--format"),
        (["raster", "job_1", "--out", "x.jpeg"], ".png"),
        (["show"], "Missing argument"),
        (["nonsense"], "No such command"),
        (["jobs", "--limit", "0"], "--limit"),
        (["serve", "--port", "99999"], "SPIKESMITH_PORT"),
        (["keys", "revoke", "nothing"], "nothing"),
        (["keys", "create", "me", "--scope", "all"], "read, submit, admin"),
    ],
)
def test_bad_usage_is_exit_code_2_and_says_what_is_wrong(
    spikesmith: Spikesmith, arguments: list[str], complaint: str
) -> None:
    outcome = spikesmith(*arguments)
    assert outcome.code == 2
    assert complaint in outcome.err
    assert "Traceback" not in outcome.err


def test_a_wrong_variable_is_named(spikesmith: Spikesmith, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKESMITH_SLOTS", "many")
    outcome = spikesmith("serve")
    assert outcome.code == 2
    assert "SPIKESMITH_SLOTS" in outcome.err


def test_an_open_address_without_keys_is_refused(spikesmith: Spikesmith, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKESMITH_AUTH", "off")
    outcome = spikesmith("serve", "--host", "0.0.0.0")
    assert outcome.code == 2
    assert "authentication" in outcome.err


def test_keys_are_made_listed_and_revoked(spikesmith: Spikesmith) -> None:
    made = spikesmith("keys", "create", "a lab", "--scope", "read")
    assert made.code == 0
    secret = made.out.strip()
    assert secret.startswith("sps_")
    (listed,) = json.loads(spikesmith("keys", "list", "--json").out)
    assert (listed["name"], listed["scopes"], listed["revoked_at"]) == ("a lab", ["read"], None)
    assert secret.startswith(listed["prefix"])
    assert secret not in spikesmith("keys", "list").out
    assert spikesmith("keys", "revoke", listed["prefix"]).code == 0
    assert "revoked" in spikesmith("keys", "list").out


def test_the_doctor_finds_what_is_there_and_that_no_service_runs(spikesmith: Spikesmith) -> None:
    outcome = spikesmith("doctor", "--json")
    findings = {finding["what"]: finding for finding in json.loads(outcome.out)}
    assert outcome.code == 0
    assert findings["service"]["verdict"] == "note"
    assert {name for name, f in findings.items() if f["verdict"] == "ok"} >= {"python", "packages", "torch", "redis"}


def test_the_doctor_says_what_is_wrong(spikesmith: Spikesmith, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPIKESMITH_DATA", str(tmp_path / "gone"))
    outcome = spikesmith("doctor")
    assert outcome.code == 1
    assert str(tmp_path / "gone") in outcome.out


def test_help_and_readme_name_every_command(spikesmith: Spikesmith) -> None:
    from service.cli.app import app

    readme = (Path(__file__).parents[2] / "README.md").read_text()
    helped = spikesmith("--help").out
    names = [c.name or c.callback.__name__ for c in app.registered_commands if c.callback is not None]
    assert len(names) > 10
    for name in [*names, *(group.name for group in app.registered_groups if group.name)]:
        assert f" {name} " in helped
        assert re.search(rf"`(spikesmith )?{name}\b", readme), name
