from __future__ import annotations

import pytest

from service.store import api_keys, idempotency, jobs
from service.store.engine import Database
from service.store.ids import LENGTH, new_id
from service.store.jobs import Filters
from service.store.tables import Idempotency
from service.store.types import utcnow


def test_identifiers_sort_by_age_and_never_repeat() -> None:
    ids = [new_id("job") for _ in range(5000)]
    assert ids == sorted(set(ids))
    assert {len(one) for one in ids} == {len("job_") + LENGTH}


@pytest.fixture
def listed(database: Database) -> dict[str, str]:
    """Jobs by a nickname, oldest first."""
    with database.write() as session:
        made = {
            "a": jobs.create(session, spec={}, name="Alpha 100%", labels={"run": "1", "who": "ann"}).id,
            "b": jobs.create(session, spec={}, name="beta_x", labels={"run": "2"}, preset="renner/softmax-exp-4").id,
            "c": jobs.create(session, spec={}, labels={"who": "bob"}, sweep="swp_1").id,
        }
        jobs.cancel(session, made["c"])
    return made


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), "cba"),
        (Filters(states=["queued"]), "ba"),
        (Filters(states=["cancelled", "failed"]), "c"),
        (Filters(labels=[("run", None)]), "ba"),
        (Filters(labels=[("run", "2")]), "b"),
        (Filters(labels=[("run", None), ("who", "ann")]), "a"),
        (Filters(labels=[("run", "1"), ("who", "bob")]), ""),
        (Filters(preset="renner/softmax-exp-4"), "b"),
        (Filters(sweep="swp_1"), "c"),
        (Filters(text="ALPHA"), "a"),
        (Filters(text="softmax"), "b"),
        (Filters(text="%"), "a"),
        (Filters(text="_x"), "b"),
        (Filters(text="job_"), "cba"),
    ],
)
def test_filters(database: Database, listed: dict[str, str], filters: Filters, expected: str) -> None:
    with database.read() as session:
        found = [job.id for job in jobs.list_jobs(session, filters, before=None, limit=10)]
    assert found == [listed[name] for name in expected]


def test_pages_follow_each_other_without_gaps_or_repeats(database: Database, listed: dict[str, str]) -> None:
    with database.read() as session:
        first = jobs.list_jobs(session, Filters(), before=None, limit=2)
        second = jobs.list_jobs(session, Filters(), before=first[-1].id, limit=2)
    assert [job.id for job in (*first, *second)] == [listed[name] for name in "cba"]


def test_labels_and_counts(database: Database, listed: dict[str, str]) -> None:
    with database.read() as session:
        labels = jobs.labels_of(session, list(listed.values()))
        assert labels[listed["a"]] == {"run": "1", "who": "ann"}
        assert jobs.count_by_state(session) == {"queued": 2, "cancelled": 1}
        assert jobs.count_queued(session, None) == 2
        assert jobs.count_queued(session, "key_1") == 0


def test_a_key_passes_until_it_is_revoked_and_is_not_stored(database: Database) -> None:
    with database.write() as session:
        assert not api_keys.any_key(session)
        key, secret = api_keys.create_key(session, "laptop", ["submit", "read"])
    with database.read() as session:
        found = api_keys.find_key(session, secret)
        assert found is not None
        assert (found.id, found.scopes) == (key.id, ["read", "submit"])
        assert secret not in str(vars(found))
        assert api_keys.find_key(session, secret + "x") is None
        assert api_keys.any_key(session)
        assert [one.id for one in api_keys.list_keys(session)] == [key.id]
    with database.write() as session:
        assert api_keys.revoke_key(session, key.prefix) is not None
        assert api_keys.revoke_key(session, "key_none") is None
    with database.read() as session:
        assert api_keys.find_key(session, secret) is None
        assert not api_keys.any_key(session)


@pytest.mark.parametrize(("name", "scopes"), [("x", ["root"]), ("x", []), (" ", ["read"]), ("x" * 201, ["read"])])
def test_a_key_needs_a_name_and_known_scopes(database: Database, name: str, scopes: list[str]) -> None:
    with pytest.raises(ValueError), database.write() as session:
        api_keys.create_key(session, name, scopes)


def test_an_idempotency_key_goes_through_its_life(database: Database) -> None:
    def reserve(key: str, digest: str, ttl_s: float = 100) -> idempotency.Reservation:
        with database.write() as session:
            return idempotency.reserve(session, "anyone", key, digest, ttl_s)

    assert reserve("k", "d1").outcome == "mine"
    assert reserve("k", "d1").outcome == "in_flight"
    assert reserve("k", "d2").outcome == "other_body"
    with database.write() as session:
        idempotency.release(session, "anyone", "k")
    assert reserve("k", "d2").outcome == "mine"
    with database.write() as session:
        job = jobs.create(session, spec={})
        idempotency.answer(session, "anyone", "k", {"id": job.id}, job_id=job.id)
        idempotency.release(session, "anyone", "k")  # too late: it was answered
    assert reserve("k", "d2") == idempotency.Reservation("answered", {"id": job.id})
    assert reserve("k", "d1").outcome == "other_body"
    assert reserve("k", "d1", ttl_s=-1).outcome == "mine"


def test_the_key_of_a_request_that_died_is_free_after_a_minute(database: Database) -> None:
    from datetime import timedelta

    with database.write() as session:
        long_ago = utcnow() - timedelta(seconds=idempotency.IN_FLIGHT_S + 1)
        session.add(Idempotency(scope="s", key="k", request_sha256="d", created_at=long_ago))
    with database.write() as session:
        assert idempotency.reserve(session, "s", "k", "d", 1e6).outcome == "mine"
