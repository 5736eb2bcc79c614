"""Calls about illustrations: figures that follow their parameters."""

from __future__ import annotations

from typing import Any, Literal, overload
from urllib.parse import quote

from service.client.connection import Connection
from service.client.models import Illustration

FORMATS = {None: "application/json", "png": "image/png", "svg": "image/svg+xml"}


class IllustrationCalls(Connection):
    """How LIF units spike, learn and read images; answered by the service itself, without a worker."""

    def illustrations(self) -> list[Illustration]:
        """What can be drawn, with the ranges and defaults of the parameters."""
        return [Illustration.of(item) for item in self._pages("/v1/illustrations", {})]

    @overload
    def illustration(self, name: str, /, *, format: None = None, **parameters: Any) -> dict[str, Any]: ...

    @overload
    def illustration(self, name: str, /, *, format: Literal["png", "svg"], **parameters: Any) -> bytes: ...

    def illustration(
        self, name: str, /, *, format: Literal["png", "svg"] | None = None, **parameters: Any
    ) -> dict[str, Any] | bytes:
        """An illustration as data, or as a picture in a `format`. Parameters that are not given have their defaults."""
        response = self._transport.request(
            "POST",
            f"/v1/illustrations/{quote(name, safe='')}",
            body=parameters,
            headers={"Accept": FORMATS[format]},
            repeatable=True,
        )
        if format is not None:
            return response.content
        answer: dict[str, Any] = response.json()
        return answer
