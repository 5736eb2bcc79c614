"""The container files, as far as they can be held to something without a container engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.server.environment import variable_of
from service.settings import Settings

ROOT = Path(__file__).parents[2]
SETTINGS = {variable_of(name) for name in Settings.model_fields}
OF_COMPOSE_ALONE = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "SPIKESMITH_TAG"}
READ_ELSEWHERE = {"SPIKESMITH_DATA", "SPIKESMITH_CACHE", "SPIKESMITH_MARCH"}
"""Variables that snncore and setup.py read, which know no settings."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return content


def environment(service: dict[str, Any]) -> dict[str, str]:
    return service.get("environment", {})


def test_the_parts_are_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"migrate", "api", "worker", "worker-gpu", "postgres", "redis"}
    assert [name for name, s in compose["services"].items() if "profiles" in s] == ["worker-gpu"]
    devices = compose["services"]["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices[0]["capabilities"] == ["gpu"]


def test_everything_that_keeps_running_has_a_health_check(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        check = service["healthcheck"]
        assert bool(check.get("disable")) == (name == "migrate"), name
        assert name == "migrate" or {"test", "interval", "timeout", "retries"} <= set(check), name


def test_nothing_starts_before_the_migrations_went_through(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["migrate"]["command"] == ["python", "-m", "service.migrate"]
    assert services["migrate"]["restart"] == "no"
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name in ("api", "worker", "worker-gpu"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_no_password_stands_in_the_files_and_none_is_the_default(compose: dict[str, Any]) -> None:
    secret = re.compile(r"\$\{[A-Z_]*PASSWORD:\?[^}]+\}")
    for name, service in compose["services"].items():
        for variable, value in environment(service).items():
            if "PASSWORD" in variable or "://" in str(value):
                assert secret.search(value), f"{name}: {variable}"
                assert "PASSWORD" not in secret.sub("", value), f"{name}: {variable}"
    for line in (ROOT / ".env.example").read_text().splitlines():
        if "PASSWORD" in line:
            assert line.endswith("="), line


def test_the_service_is_not_open_to_the_world(compose: dict[str, Any]) -> None:
    for name in ("api", "worker", "worker-gpu", "migrate"):
        assert environment(compose["services"][name])["SPIKESMITH_AUTH"] == "on"
    assert all(port.startswith("127.0.0.1:") for port in compose["services"]["api"]["ports"])
    assert [name for name, s in compose["services"].items() if "ports" in s] == ["api"]


def test_redis_never_drops_a_message(compose: dict[str, Any]) -> None:
    assert "--maxmemory-policy noeviction" in " ".join(compose["services"]["redis"]["command"])


def test_a_worker_gets_the_time_it_needs_to_save_its_jobs(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]
    graces = [float(environment(worker)[f"SPIKESMITH_{name}_GRACE_S"]) for name in ("SHUTDOWN", "KILL")]
    assert float(worker["stop_grace_period"].removesuffix("s")) > sum(graces)


def test_volumes_are_declared(compose: dict[str, Any]) -> None:
    used = {volume.split(":")[0] for s in compose["services"].values() for volume in s.get("volumes", [])}
    assert used == set(compose["volumes"])


@pytest.mark.parametrize("name", ["docker-compose.yml", ".env.example", "Dockerfile"])
def test_every_variable_is_one_that_something_reads(name: str) -> None:
    found = set(re.findall(r"\b(?:SPIKESMITH_[A-Z_]+|DATABASE_URL|BROKER_URL)\b", (ROOT / name).read_text()))
    assert found <= SETTINGS | OF_COMPOSE_ALONE | READ_ELSEWHERE | {"SPIKESMITH_API_KEY"}


def test_all_variables_of_the_compose_file_are_in_the_example() -> None:
    asked_for = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    offered = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert asked_for == offered


def test_what_the_image_copies_exists_and_is_sent_to_the_builder() -> None:
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    copied = []
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied += line.split()[1:-1]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in sent, source


def test_the_image_does_not_run_as_root_and_is_pinned_like_every_install() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)
    pin = re.search(r"^torch==.*$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pin is not None
    assert pin[0] in text
    assert text.count("-c constraints.txt") == text.count("pip install")


def test_the_commands_of_the_containers_exist(compose: dict[str, Any]) -> None:
    import importlib.util

    from service.cli.app import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    for service in compose["services"].values():
        for command in (service.get("command"), service.get("healthcheck", {}).get("test", [])[1:]):
            if command and command[0] == "spikesmith":
                assert command[1] in commands
            elif command and command[:2] == ["python", "-m"]:
                assert importlib.util.find_spec(command[2]) is not None


def test_docker_compose_itself_agrees(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode != 0:
        pytest.skip("there is no `docker compose` here")
    secrets = {"POSTGRES_PASSWORD": "x", "REDIS_PASSWORD": "y"}
    command = [docker, "compose", "--file", str(ROOT / "docker-compose.yml"), "--profile", "gpu", "config", "--quiet"]
    asked = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **secrets}, cwd=tmp_path)
    assert asked.returncode == 0, asked.stderr
