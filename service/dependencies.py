"""What routes ask for: the store, the settings, a JSON body, and that nobody misspells a query parameter."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from fastapi.routing import APIRoute
from pydantic import StringConstraints

from service.dispatch import Doorbell
from service.problems import FieldProblem, Problem, invalid, job_not_found, printable
from service.settings import Settings
from service.store import jobs
from service.store.engine import Database
from service.store.ids import is_id
from service.store.tables import Job

DEEPEST = 100
LONGEST_NUMBER = 400


def get_database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def get_config(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def get_doorbell(request: Request) -> Doorbell:
    doorbell: Doorbell = request.app.state.doorbell
    return doorbell


DatabaseDep = Annotated[Database, Depends(get_database)]
ConfigDep = Annotated[Settings, Depends(get_config)]
DoorbellDep = Annotated[Doorbell, Depends(get_doorbell)]

# PostgreSQL stores no NUL; saying so in the schema beats finding out in the database.
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


def job_of_path(job_id: Annotated[str, Path(description="Of the job.")], database: DatabaseDep) -> Job:
    """The job that the path names. 404 if there is none."""
    if not is_id(job_id, "job"):
        raise job_not_found(job_id)
    with database.read() as session:
        return jobs.get(session, job_id)


JobDep = Annotated[Job, Depends(job_of_path)]


def known_query_only(request: Request) -> None:
    """Refuse query parameters that the route does not have: a misspelt filter would answer another question."""
    known = request.scope["route"].known_query
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in known]
    if unknown:
        hint = f"known here: {', '.join(sorted(known))}" if known else "this call has none"
        errors = [
            FieldProblem(loc=["query", printable(name)], msg=f"unknown parameter; {hint}", type="extra_forbidden")
            for name in unknown
        ]
        raise Problem(422, "invalid_request", f"unknown query parameter; {hint}", errors=errors)


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object whose strings can be stored."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        sent = f"not {printable(media_type)!r}" if media_type else "and the header is missing"
        raise Problem(415, "unsupported_media_type", f"The body has to come as Content-Type: application/json, {sent}.")
    body = await request.body()
    try:
        document = json.loads(body, parse_int=_integer)
    except UnicodeDecodeError:
        raise invalid([], "the body is not UTF-8", "json_invalid", "invalid_json") from None
    except RecursionError:
        raise invalid([], "the body is nested too deeply", "json_invalid", "invalid_json") from None
    except ValueError as error:
        raise invalid([], f"the body is not JSON: {error}", "json_invalid", "invalid_json") from None
    if not isinstance(document, dict):
        raise invalid([], "the body has to be a JSON object", "dict_type", "invalid_json")
    if errors := _unstorable(document):
        detail = "; ".join(f"{'.'.join(map(str, one.loc))}: {one.msg}" for one in errors[:5])
        raise Problem(422, "invalid_request", detail, errors=errors)
    return document


JsonObject = Annotated[dict[str, Any], Depends(json_object)]


def _integer(digits: str) -> int | float:
    # Python refuses to read longer ones; as infinity they reach the validation, which names the field.
    return int(digits) if len(digits) <= LONGEST_NUMBER else float("-inf" if digits.startswith("-") else "inf")


def _unstorable(document: dict[str, Any]) -> list[FieldProblem]:
    """Places with NUL or lone surrogates, which UTF-8 and PostgreSQL cannot hold, and with endless nesting."""
    found = []
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    while pending:
        loc, value = pending.pop()
        if len(loc) > DEEPEST:
            return [FieldProblem(loc=list(loc[:3]), msg=f"nested deeper than {DEEPEST} levels", type="too_deep")]
        if isinstance(value, dict):
            for key, item in value.items():
                step = printable(key)
                if _bad(key):
                    msg = "the key contains NUL or a lone surrogate"
                    found.append(FieldProblem(loc=[*loc, step], msg=msg, type="string_unicode"))
                pending.append(((*loc, step), item))
        elif isinstance(value, list):
            pending.extend(((*loc, index), item) for index, item in enumerate(value))
        elif isinstance(value, str) and _bad(value):
            found.append(FieldProblem(loc=list(loc), msg="contains NUL or a lone surrogate", type="string_unicode"))
    return found


def _bad(text: str) -> bool:
    return "\0" in text or any("\ud800" <= char <= "\udfff" for char in text)


class StrictRoute(APIRoute):
    """A route that knows the names of its query parameters."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known_query = frozenset(_query_names(self.dependant))


def _query_names(dependant: Any) -> set[str]:
    names = {field.alias for field in dependant.query_params}
    return names.union(*(_query_names(child) for child in dependant.dependencies))
