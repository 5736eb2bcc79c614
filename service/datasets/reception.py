"""The body of an upload, written to a temporary file as it comes in."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, BinaryIO

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from service.dependencies import ConfigDep
from service.problems import Problem, printable

IN_MEMORY_BYTES = 2**20
WRITTEN_AT_ONCE = 2**18
MEDIA_TYPES = ("application/zip", "application/x-npz", "application/octet-stream", "application/x-zip-compressed")


@dataclass(frozen=True, slots=True)
class Upload:
    file: BinaryIO
    sha256: str
    size: int


async def receive(request: Request, config: ConfigDep) -> AsyncIterator[Upload]:
    """The body, hashed, in a file that is gone after the answer. 413 as soon as it is too large."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type and media_type not in MEDIA_TYPES:
        detail = (
            f"A dataset has to come as Content-Type: {' or '.join(MEDIA_TYPES[:3])}, not {printable(media_type)!r}."
        )
        raise Problem(415, "unsupported_media_type", detail)
    most = config.max_upload_bytes
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and (len(announced) > 18 or int(announced) > most):
        raise _too_large(most)
    digest, size = hashlib.sha256(), 0
    with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as file:
        pending = bytearray()
        try:
            async for piece in request.stream():
                size += len(piece)
                if size > most:
                    raise _too_large(most)
                digest.update(piece)
                pending += piece
                if len(pending) >= WRITTEN_AT_ONCE:
                    await run_in_threadpool(file.write, bytes(pending))
                    pending.clear()
        except ClientDisconnect:
            raise Problem(400, "upload_interrupted", "The connection broke before the file was complete.") from None
        await run_in_threadpool(file.write, bytes(pending))
        yield Upload(file, digest.hexdigest(), size)  # type: ignore[arg-type]


def _too_large(most: int) -> Problem:
    detail = f"The file is larger than the limit max_upload_bytes = {most}; take fewer samples, or compress them."
    # Closing is the only way to stop a client that goes on sending.
    return Problem(413, "upload_too_large", detail, headers={"Connection": "close"})


UploadDep = Annotated[Upload, Depends(receive)]
