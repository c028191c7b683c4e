"""A form with a file, as browsers and programs send it, with bounds on its size and on how long it may take."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from transducer.server.limits import POLICY, TOO_BIG, UNSUPPORTED, Limits, Refused

_FIELDS, _FIELD = 1100, 1 << 16  # how many fields there may be beside the file, and bytes of each
_NAME = 100  # characters of a file's name, in messages


class Upload(NamedTuple):
    """A form that has come.

    Attributes:
        name: of the file, for messages.
        path: where it is now.
        fields: name -> values, in their order.
    """

    name: str
    path: str
    fields: dict[str, list[str]]


@asynccontextmanager
async def received(request: Request, limits: Limits) -> AsyncIterator[Upload]:
    """The form of a request; its file is gone after the context.

    Raises:
        Refused: it is too big, comes too slowly, or is no such form.
    """
    if int(request.headers.get("content-length") or 0) > limits.upload + _FIELD:
        raise _too_big(limits)
    bounded = Request(request.scope, _Bounded(request, limits).receive)
    folder = tempfile.mkdtemp(prefix="transducer-upload-")
    try:
        try:
            async with (
                asyncio.timeout(limits.receive),
                bounded.form(max_files=1, max_fields=_FIELDS, max_part_size=_FIELD) as form,
            ):
                upload = await _keep(form.multi_items(), folder)
        except TimeoutError:
            raise Refused(POLICY, "time", f"a file has to come within {limits.receive:g} seconds") from None
        except (HTTPException, AssertionError) as error:
            raise Refused(UNSUPPORTED, "form", str(getattr(error, "detail", error)) or "this is no form") from None
        yield upload
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


class _Bounded:
    """What a request receives, up to a number of bytes, each part within a time."""

    def __init__(self, request: Request, limits: Limits):
        self._request, self._limits, self._bytes = request, limits, 0

    async def receive(self) -> Message:
        try:
            message = await asyncio.wait_for(self._request.receive(), self._limits.idle)
        except TimeoutError:
            raise Refused(POLICY, "idle", f"nothing came for {self._limits.idle:g} seconds") from None
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._limits.upload + _FIELD:
            raise _too_big(self._limits)
        return message


async def _keep(items: list[tuple[str, Any]], folder: str) -> Upload:
    fields: dict[str, list[str]] = {}
    name = path = ""
    for key, value in items:
        if isinstance(value, UploadFile):
            if key != "file":
                raise Refused(UNSUPPORTED, "form", f"the file's field is called file, not {key[:_NAME]}")
            name = "".join(filter(str.isprintable, value.filename or ""))[:_NAME] or "the file"
            path = os.path.join(folder, "media")
            await asyncio.to_thread(_copy, value.file, path)
        else:
            fields.setdefault(key.removesuffix("[]"), []).append(value)
    if not path:
        raise Refused(UNSUPPORTED, "form", "a form with a file is needed: multipart/form-data with the field file")
    return Upload(name, path, fields)


def _copy(file: Any, path: str) -> None:
    with open(path, "wb") as kept:
        shutil.copyfileobj(file, kept)


def _too_big(limits: Limits) -> Refused:
    return Refused(TOO_BIG, "upload", f"a file may have {limits.upload >> 20} MB")


async def disconnected(request: Request) -> None:
    """Returns when the client has gone, once its request has been read."""
    try:
        while (await request.receive())["type"] != "http.disconnect":
            pass
    except ClientDisconnect:
        pass
