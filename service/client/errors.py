"""What a call can fail with: the service said no, or nobody answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with a request body."""

    loc: tuple[str | int, ...]
    msg: str
    type: str

    @property
    def field(self) -> str:
        """Where it is, the way it would be written after `--set`: `training.epochs`."""
        return ".".join(str(part) for part in self.loc) or "(the whole body)"


class ClientError(Exception):
    """Base of what a `Client` raises."""


class ServiceError(ClientError):
    """The service refused. Carries the problem details it answered with."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code: str = str(problem.get("code") or status)
        self.title: str = str(problem.get("title") or "the service answered with an error")
        self.detail: str = str(problem.get("detail") or self.title)
        self.request_id: str | None = problem.get("request_id")
        self.errors: list[FieldError] = [
            FieldError(tuple(e.get("loc", ())), str(e.get("msg", "")), str(e.get("type", "")))
            for e in problem.get("errors") or []
        ]
        fields = "".join(f"\n  {error.field}: {error.msg}" for error in self.errors)
        super().__init__(f"{status} {self.code}: {self.detail}{fields}")


class NothingToDraw(ClientError):
    """A job has not recorded what a picture is made of."""


class ServiceUnreachable(ClientError):
    """Nobody answered at the address, or the connection broke and did not come back in time."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"no answer from {url} ({reason})")
