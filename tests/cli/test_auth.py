"""The command line with a service that asks for keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Outcome
from tests.serving import served

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nowhere")]


def test_a_key_made_on_the_server_opens_it_as_far_as_its_scope_goes(
    spikesmith: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with served(tmp_path / "home", env={"SPIKESMITH_AUTH": "on"}) as service:
        monkeypatch.setenv("SPIKESMITH_HOME", str(service.home))
        monkeypatch.setenv("SPIKESMITH_URL", service.url)
        refused = spikesmith("jobs")
        assert refused.code == 2
        assert "SPIKESMITH_API_KEY" in refused.err

        monkeypatch.setenv("SPIKESMITH_API_KEY", spikesmith("keys", "create", "reader", "--scope", "read").out.strip())
        assert spikesmith("jobs").code == 0
        assert spikesmith("submit", "--preset", "digits/lsnn").code == 2

        monkeypatch.setenv("SPIKESMITH_API_KEY", spikesmith("keys", "create", "submitter").out.strip())
        job = spikesmith("submit", "--preset", "digits/lsnn").out.strip()
        assert spikesmith("cancel", job).code == 0

        (key, _) = json.loads(spikesmith("keys", "list", "--json").out)
        assert spikesmith("keys", "revoke", key["id"]).code == 0
        assert spikesmith("jobs").code == 2
