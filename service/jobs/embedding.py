"""Jobs that embed the trained network of another: what it looks like is filled in from that other job's spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.problems import FieldProblem, printable
from service.store import jobs
from service.store.engine import Database
from service.store.errors import JobNotFound
from service.store.ids import is_id
from service.store.tables import Job
from service.store.transitions import GIVEN_UP
from snncore.spec import SpecError, deep_merge, embeddable, parse_job_spec

EMBEDDED = ("architecture", "embedded")
JOB = (*EMBEDDED, "job")
NETWORK = (*EMBEDDED, "network")


def fill_in(document: dict[str, Any], database: Database) -> tuple[dict[str, Any], list[FieldProblem]]:
    """`document` with the network of the job that it names, and what is wrong with naming that one."""
    job_id = at(document, JOB)
    if not isinstance(job_id, str):
        return document, []
    try:
        needed = _find(database, job_id)
    except JobNotFound:
        return document, [unknown(job_id)]
    try:
        network = embeddable(parse_job_spec(needed.spec)).model_dump(mode="json")
    except SpecError as error:
        reasons = "; ".join(problem.msg for problem in error.problems)
        msg = f"the network of job {needed.id} cannot be embedded: {reasons}"
        return document, [FieldProblem(loc=list(JOB), msg=msg, type="not_embeddable")]
    problems = [given_up(needed.id, needed.state)] if needed.state in GIVEN_UP else []
    given = at(document, NETWORK)
    if given is not None and given != network:
        msg = f"is not the network of job {needed.id}; leave it out, the service fills it in"
        problems.append(FieldProblem(loc=list(NETWORK), msg=msg, type="other_network"))
    return _with_network(document, network), problems


def _find(database: Database, job_id: str) -> Job:
    if not is_id(job_id, "job"):
        raise JobNotFound(job_id)
    with database.read() as session:
        return jobs.get(session, job_id)


def _with_network(document: dict[str, Any], network: dict[str, Any]) -> dict[str, Any]:
    without = deep_merge(document, {"architecture": {"embedded": {"network": None}}})
    return deep_merge(without, {"architecture": {"embedded": {"network": network}}})


def embed_as(document: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """`document` with the job and the network that `other` embeds."""
    taken = {"job": at(other, JOB), "network": at(other, NETWORK)}
    return deep_merge(document, {"architecture": {"embedded": taken}})


def unknown(job_id: str) -> FieldProblem:
    return FieldProblem(loc=list(JOB), msg=f"there is no job {printable(job_id)!r}", type="unknown_job")


def given_up(job_id: str, state: str) -> FieldProblem:
    """A job that nobody should wait for."""
    how = {"failed": "has failed", "cancelled": "was cancelled"}.get(state, f"is {state}")
    msg = f"job {job_id} {how}; resume it (POST /v1/jobs/{job_id}/resume), or give the id of another one"
    return FieldProblem(loc=list(JOB), msg=msg, type="needed_job_ended")


def at(document: object, path: Sequence[str]) -> Any:
    """What stands at a place of a document, None where there is none."""
    for step in path:
        document = document.get(step) if isinstance(document, Mapping) else None
    return document
