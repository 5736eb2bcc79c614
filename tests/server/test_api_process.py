from __future__ import annotations

import socket
from pathlib import Path

import pytest

from service.server.api import CannotListen, listen, url_of
from service.server.environment import child_environment, variable_of
from service.settings import Settings


def test_a_public_address_needs_authentication() -> None:
    with pytest.raises(CannotListen, match="SPIKESMITH_AUTH=on"):
        listen(Settings(host="0.0.0.0", port=0, auth="off"))
    listen(Settings(host="0.0.0.0", port=0, auth="auto")).close()
    listen(Settings(host="127.0.0.1", port=0, auth="off")).close()


def test_a_port_in_use_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"127.0.0.1:{port}.*--port"):
            listen(Settings(port=port))


def test_the_url_is_one_that_works_from_this_machine() -> None:
    with listen(Settings(host="0.0.0.0", port=0, auth="on")) as everywhere:
        assert url_of(everywhere) == f"http://127.0.0.1:{everywhere.getsockname()[1]}"


def test_children_get_the_settings_that_were_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPIKESMITH_DATA", "/somewhere")
    monkeypatch.setenv("SPIKESMITH_SLOTS", "7")
    settings = Settings(home=tmp_path, slots=2, database_url="sqlite:///x.db")
    env = child_environment(settings.model_copy(update={"broker_url": "redis+socket:///r"}))
    assert env["SPIKESMITH_DATA"] == "/somewhere"
    assert (env["SPIKESMITH_SLOTS"], env["SPIKESMITH_HOME"]) == ("2", str(tmp_path))
    assert (env["DATABASE_URL"], env["BROKER_URL"]) == ("sqlite:///x.db", "redis+socket:///r")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert Settings().slots == 2
    assert Settings().broker_url == "redis+socket:///r"


def test_every_setting_has_a_variable() -> None:
    names = [variable_of(field) for field in Settings.model_fields]
    assert len(set(names)) == len(names)
    assert {"DATABASE_URL", "BROKER_URL", "SPIKESMITH_HOME", "SPIKESMITH_LEASE_S"} <= set(names)
