"""The service holds to its own OpenAPI document, whatever a generator of requests makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from service.app import create_app
from service.settings import Settings
from service.store import api_keys, workers
from service.store.engine import Database
from tests.service.conftest import RESULT, full_batch, make_spikes
from tests.service.fuzz_worker import InstantWorker

# Rules across fields (the readout that suits a task, splits that leave no sample) cannot be said in JSON Schema, so a
# spec that fits the schema may still be refused, with 422 and the place named. Everywhere else a request that fits
# the document has to be accepted.
SUBMISSIONS = ["POST /v1/jobs", "POST /v1/jobs/validate", "POST /v1/sweeps"]
UPLOAD = "PUT /v1/datasets/{dataset}"
"""Which files are datasets cannot be said in JSON Schema either."""
ACCEPTED = ["2xx", "401", "403", "404", "409", "5xx"]


def configuration(key: str, covered: Sequence[str]) -> SchemathesisConfig:
    """All checks and phases. Of the submissions, whose bodies make 2,600 cases each, only the `covered` get them."""
    return SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "headers": {"Authorization": f"Bearer {key}"},
            "continue-on-failure": True,
            "generation": {"max-examples": 10, "database": "none"},
            "phases": {"stateful": {"generation": {"max-examples": 10}}},
            "operations": [
                {
                    "include-name": name,
                    "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "422"]}},
                    "phases": {"coverage": {"enabled": name in covered}},
                }
                for name in SUBMISSIONS
            ]
            + [
                {
                    "include-name": UPLOAD,
                    "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "422"]}},
                }
            ],
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("migrated_url", "covered"),
    [("sqlite", SUBMISSIONS[:1]), ("postgresql", SUBMISSIONS[1:])],
    indirect=["migrated_url"],
)
def test_schemathesis_finds_nothing(
    migrated_url: str, database: Database, tmp_path: Path, covered: Sequence[str]
) -> None:
    settings = Settings(
        home=tmp_path,
        database_url=migrated_url,
        broker_url="memory://",
        auth="on",
        sse_poll_s=0.02,
        worker_timeout_s=3600,
        _env_file=None,
    )
    workers.register(database, hostname="h", pid=1, device="cpu", threads=2, slots=1)
    with database.write() as session:
        _, key = api_keys.create_key(session, "schemathesis", ["admin"])
    app = create_app(settings, database=database)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=configuration(key, covered))
    failures: list[str] = []
    passed: dict[str, int] = {}
    with InstantWorker(database, full_batch(make_spikes()), RESULT):
        for event in from_schema(schema).execute():
            failures += problems_in(event, passed)
    assert not failures, "\n\n".join(failures)
    assert sum(passed.values()) > 1000
    assert {"not_a_server_error", "negative_data_rejection", "positive_data_acceptance", "ignored_auth"} <= set(passed)


def problems_in(event: Any, passed: dict[str, int]) -> list[str]:
    """Failed checks and errors of one event; checks that passed are counted by name."""
    if isinstance(event, events.FatalError):
        return [f"fatal: {event.exception!r}"]
    if isinstance(event, events.NonFatalError):
        return [f"{event.label}: {event.value!r}"]
    if isinstance(event, events.EngineFinished):
        return [f"{failure.operation}: {failure.title}: {failure.message}" for failure in event.failures]
    if not isinstance(event, events.ScenarioFinished):
        return []
    found = []
    for checks in event.recorder.checks.values():
        for check in checks:
            if check.failure_info is None:
                passed[check.name] = passed.get(check.name, 0) + 1
            else:
                failure = check.failure_info.failure
                found.append(
                    f"{event.phase} {check.name} {failure.operation}: {failure.title}: {failure.message}\n"
                    f"{check.failure_info.code_sample}"
                )
    return found
