"""How results go out: in the format that was asked for, from the client's cache if it has them, or piece by piece."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request, Response
from pydantic import BaseModel

from service.problems import Problem

JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
CSV = "text/csv"
MARKDOWN = "text/markdown"
NPZ = "application/x-npz"
PNG = "image/png"
SVG = "image/svg+xml"


def negotiate(request: Request, offers: Sequence[str], asked: str | None = None) -> str:
    """The format to answer in: `asked` if given, else what `Accept` likes best, the first offer among equals."""
    if asked is not None:
        return asked
    accept = ",".join(request.headers.getlist("accept")).strip()
    if not accept:
        return offers[0]
    ranges = [_media_range(part) for part in accept.split(",") if part.strip()]
    best = max(offers, key=lambda offer: (_quality(offer, ranges), -offers.index(offer)))
    if _quality(best, ranges) <= 0:
        raise Problem(406, "not_acceptable", f"This can be had as {', '.join(offers)}.")
    return best


def _media_range(part: str) -> tuple[str, float]:
    media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = min(max(float(value), 0.0), 1.0)
            except ValueError:
                quality = 0.0
    return media_type, quality


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """What the most specific range that fits says about an offer."""
    family = offer.partition("/")[0] + "/*"
    for wanted in (offer, family, "*/*"):
        fitting = [quality for media_type, quality in ranges if media_type == wanted]
        if fitting:
            return max(fitting)
    return 0.0


@dataclass(frozen=True, slots=True)
class Tag:
    """An entity tag. None: the answer may still change, so nobody should keep it."""

    value: str | None

    @classmethod
    def of(cls, *parts: object, final: bool = True) -> Tag:
        """The tag of an answer that these parts determine; none if it is not final."""
        if not final:
            return cls(None)
        return cls('"' + hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "replace")).hexdigest()[:40] + '"')

    @property
    def headers(self) -> dict[str, str]:
        # "no-cache" allows keeping and asks for revalidation: a job that was resumed changes its results after all.
        if self.value is None:
            return {"Cache-Control": "no-store", "Vary": "Accept"}
        return {"ETag": self.value, "Cache-Control": "private, no-cache", "Vary": "Accept"}

    def matches(self, header: str | None) -> bool:
        if self.value is None or header is None:
            return False
        candidates = [candidate.strip().removeprefix("W/") for candidate in header.split(",")]
        return "*" in candidates or self.value in candidates


def not_modified(request: Request, tag: Tag) -> Response | None:
    """304 if the client has the answer already."""
    if tag.matches(request.headers.get("if-none-match")):
        return Response(status_code=304, headers=tag.headers)
    return None


def demand_room(what: str, n_bytes: int, most: int) -> None:
    """422 for an answer that would not fit."""
    if n_bytes > most:
        limit = f"over the limit max_dense_bytes = {most}"
        detail = f"{what} would take {n_bytes} bytes, {limit}; take a smaller window or fewer neurons."
        raise Problem(422, "window_too_large", detail)


def json_answer(request: Request, model: BaseModel, *, final: bool) -> Response:
    """A model as JSON, with an entity tag once it is final."""
    body = model.model_dump_json(by_alias=True).encode()
    tag = Tag.of(hashlib.sha256(body).hexdigest(), final=final)
    return not_modified(request, tag) or Response(body, media_type=JSON, headers=tag.headers)


def bytes_answer(
    request: Request, body: bytes, media_type: str, tag: Tag, extra: dict[str, str] | None = None
) -> Response:
    """Bytes, or the range of them that was asked for."""
    headers = {**tag.headers, **(extra or {})}
    if tag.value is None:
        return Response(body, media_type=media_type, headers=headers)
    headers["Accept-Ranges"] = "bytes"
    wanted = request.headers.get("range")
    condition = request.headers.get("if-range")
    if wanted is None or (condition is not None and condition.strip() != tag.value):
        return Response(body, media_type=media_type, headers=headers)
    span = _range(wanted, len(body))
    if span is None:
        return Response(body, media_type=media_type, headers=headers)
    first, last = span
    if first > last:
        detail = f"The range {wanted[:100]!r} lies behind the {len(body)} bytes that there are."
        raise Problem(416, "range_not_satisfiable", detail, headers={"Content-Range": f"bytes */{len(body)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
    return Response(body[first : last + 1], 206, media_type=media_type, headers=headers)


def _range(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte of a single range; first > last: not satisfiable; None: to be ignored, as RFC 9110 allows."""
    unit, _, text = header.partition("=")
    first, dash, last = text.strip().partition("-")
    digits_only = all(part == "" or (part.isascii() and part.isdigit() and len(part) < 19) for part in (first, last))
    if unit.strip().lower() != "bytes" or not dash or not digits_only or first == last == "":
        return None
    if first == "":
        return (max(0, size - int(last)), size - 1) if int(last) > 0 else (size, size - 1)
    if last != "" and int(last) < int(first):
        return None
    return (int(first), size - 1) if last == "" or int(last) >= size else (int(first), int(last))
