from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import text

from service.store import jobs
from service.store.engine import Database, database_url, retrying
from service.store.errors import StoreBusy, StoreUnreachable
from service.store.tables import Job
from service.store.transitions import lock_job


@pytest.mark.parametrize("given", ["postgres://u@h/d", "postgresql://u@h/d", "postgresql+psycopg://u@h/d"])
def test_every_spelling_of_postgresql_uses_psycopg(given: str) -> None:
    assert database_url(given).drivername == "postgresql+psycopg"


@pytest.mark.parametrize("given", ["mysql://u@h/d", "no url"])
def test_other_databases_are_refused_by_name(given: str) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL"):
        database_url(given)


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    def fail_half_way() -> None:
        with database.write() as session:
            jobs.create(session, spec={})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    with database.read() as session:
        assert jobs.count_by_state(session) == {}


def test_times_come_back_aware_and_in_utc(database: Database) -> None:
    with database.write() as session:
        made = jobs.create(session, spec={})
    with database.read() as session:
        again = jobs.get(session, made.id)
        assert again.created_at == made.created_at
        offset = again.created_at.utcoffset()
        assert offset is not None
        assert offset.total_seconds() == 0


def test_json_keeps_order_and_turns_what_it_cannot_hold_into_null(database: Database) -> None:
    spec = {"b": 1, "a": {"z": float("nan"), "y": [float("inf"), 1.5]}, "text": "a\0b\ud800"}
    with database.write() as session:
        job_id = jobs.create(session, spec=spec).id
    with database.read() as session:
        stored = jobs.get(session, job_id).spec
    assert list(stored) == ["b", "a", "text"]
    assert stored["a"] == {"z": None, "y": [None, 1.5]}
    assert stored["text"] == "a\ufffdb?"


def test_sqlite_runs_in_wal_mode_with_foreign_keys(sqlite_database_url: str) -> None:
    db = Database(sqlite_database_url, busy_timeout_ms=1234)
    with db.read() as session:
        read = {
            name: session.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert read == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 1234}
    db.close()


@pytest.fixture
def hurried(migrated_url: str) -> Database:
    return Database(migrated_url, busy_timeout_ms=50)


def test_a_lock_held_too_long_is_store_busy(database: Database, hurried: Database) -> None:
    with database.write() as session:
        job_id = jobs.create(session, spec={}).id
    with database.write() as holder:
        lock_job(holder, job_id)
        with pytest.raises(StoreBusy), hurried.write() as session:
            lock_job(session, job_id)
    hurried.close()


def test_readers_do_not_wait_for_writers(database: Database, hurried: Database) -> None:
    with database.write() as session:
        job_id = jobs.create(session, spec={}).id
    with database.write() as holder:
        lock_job(holder, job_id).name = "new"
        holder.flush()
        with hurried.read() as session:
            assert jobs.get(session, job_id).name is None
    hurried.close()


def test_a_patient_writer_outlasts_the_lock(database: Database, hurried: Database) -> None:
    with database.write() as session:
        job_id = jobs.create(session, spec={}).id
    locked, tried = threading.Event(), threading.Event()

    def hold() -> None:
        with database.write() as holder:
            lock_job(holder, job_id)
            locked.set()
            tried.wait(10)
            time.sleep(0.2)  # several of the other one's time-outs

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(10)

    def rename(session: object) -> None:
        tried.set()
        lock_job(session, job_id).name = "patience"  # type: ignore[arg-type]

    tried.set()
    hurried.write_with_retry(rename, patience_s=30)
    thread.join()
    with database.read() as session:
        assert jobs.get(session, job_id).name == "patience"
    hurried.close()


def test_retrying_gives_up_after_its_patience() -> None:
    calls = []

    def busy() -> None:
        calls.append(1)
        raise StoreBusy

    with pytest.raises(StoreBusy):
        retrying(busy, patience_s=0.3)
    assert len(calls) > 1


def test_two_writers_that_read_first_both_succeed(database: Database) -> None:
    """With deferred transactions on SQLite one of them would fail at once, whatever its time-out."""
    with database.write() as session:
        job_id = jobs.create(session, spec={}).id
    barrier = threading.Barrier(4)
    failures: list[BaseException] = []

    def add_one() -> None:
        try:
            barrier.wait(10)
            for _ in range(5):
                with database.write() as session:
                    job = lock_job(session, job_id)
                    job.crashes += 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=add_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.read() as session:
        assert jobs.get(session, job_id).crashes == 20


def test_a_server_that_is_away_is_unreachable_not_a_crash(tmp_path: object) -> None:
    db = Database(f"postgresql://nobody@/none?host={tmp_path}")
    with pytest.raises(StoreUnreachable), db.read() as session:
        session.get(Job, "x")
    db.close()


def test_a_connection_that_breaks_is_unreachable_and_the_next_one_works(postgres_database_url: str) -> None:
    db = Database(postgres_database_url)
    other = Database(postgres_database_url)

    def lose_the_connection() -> None:
        with db.read() as session:
            pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with other.write() as killer:
                killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            session.execute(text("SELECT 1"))

    with pytest.raises(StoreUnreachable):
        lose_the_connection()
    with db.read() as session:
        assert session.execute(text("SELECT 1")).scalar_one() == 1
    db.close()
    other.close()


def test_the_folder_of_a_new_sqlite_file_is_made(tmp_path: object) -> None:
    db = Database(f"sqlite:///{tmp_path}/a/b/c.db")
    with db.read() as session:
        assert session.execute(text("SELECT 1")).scalar_one() == 1
    db.close()
