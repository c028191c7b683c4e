"""The WebSocket: media in, results out; see docs/server.md."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from transducer.server.access import Access
from transducer.server.limits import GOING_AWAY, INTERNAL, POLICY, UNSUPPORTED, Limits, Refused
from transducer.server.pool import Closed, Pool, PooledStream, log

_FINALS = 15.0  # seconds that the last results of a stream may take once it has been ended from here
_REASON = 120  # bytes of a close frame's reason, which has room for 123
_BURST = 2.0  # seconds of messages that may come at once


class Gone(Exception):
    """The client has closed its end, or does not take what it is sent."""


class SocketSession:
    """One client.

    Args:
        socket: which has not been accepted.
        pool: of streams.
        access: what it needs.
    """

    def __init__(self, socket: WebSocket, pool: Pool, access: Access):
        self._socket, self._pool, self._access = socket, pool, access
        self._limits: Limits = pool.limits
        self._stream: PooledStream | None = None

    async def run(self) -> None:
        """Serve the client until the end."""
        await self._socket.accept()
        try:
            closed = await self._serve()
        except Refused as refusal:
            closed = Closed(refusal.code, refusal.kind, refusal.message)
        except (Gone, WebSocketDisconnect):
            return
        except Exception:
            log.exception("a WebSocket")
            closed = Closed(INTERNAL, "internal", "something went wrong in the server; its log says what")
        finally:
            if self._stream is not None:
                self._stream.drop()
        with contextlib.suppress(Gone, WebSocketDisconnect):
            await self._close(closed)

    async def _serve(self) -> Closed:
        self._access.check(self._socket)
        try:
            message = await asyncio.wait_for(self._socket.receive(), self._limits.hello)
        except TimeoutError:
            raise Refused(POLICY, "idle", f"no hello came within {self._limits.hello:g} seconds") from None
        if message["type"] == "websocket.disconnect":
            raise Gone
        if message.get("text") is None:
            raise Refused(UNSUPPORTED, "hello", "the first message must be text: the hello")
        stream = self._stream = await self._pool.open(message["text"], "the stream")
        receiving = asyncio.create_task(self._receive(stream))
        sending = asyncio.create_task(self._send(stream))
        stopping = asyncio.create_task(self._pool.stopping.wait())
        try:
            await asyncio.wait(
                {receiving, sending, stopping}, timeout=self._limits.total, return_when=asyncio.FIRST_COMPLETED
            )
            if sending.done():
                return sending.result()
            if receiving.done():
                reason = receiving.exception()
                if not isinstance(reason, Refused):
                    raise reason or Gone
            elif stopping.done():
                reason = Refused(GOING_AWAY, "stopping", "the server stops")
            else:
                reason = Refused(POLICY, "time", f"a stream may last {self._limits.total:g} seconds")
            # What has been heard by now is not lost.
            await stream.finish()
            try:
                closed = await asyncio.wait_for(sending, _FINALS)
            except TimeoutError:  # a file, of which much has come and waits to be read
                closed = Closed(
                    reason.code, reason.kind, f"{reason.message}; of what was sent last there are no results"
                )
            return closed if closed.kind else Closed(reason.code, reason.kind, reason.message)
        finally:
            for task in (receiving, sending, stopping):
                task.cancel()
            await asyncio.gather(receiving, sending, stopping, return_exceptions=True)

    async def _receive(self, stream: PooledStream) -> None:
        """What the client sends. Never returns before the client is gone. Raises Refused, Gone."""
        loop, limits, socket = asyncio.get_running_loop(), self._limits, self._socket
        allowed_from = loop.time()
        finished = False
        while True:
            try:
                message = await asyncio.wait_for(socket.receive(), None if finished else limits.idle)
            except TimeoutError:
                raise Refused(POLICY, "idle", f"nothing came for {limits.idle:g} seconds") from None
            if message["type"] == "websocket.disconnect":
                raise Gone
            # Many tiny messages cost more than a few large ones: whoever sends them is read more slowly.
            allowed_from = max(allowed_from, loop.time() - _BURST) + 1 / limits.rate
            if (wait := allowed_from - loop.time()) > 0:
                await asyncio.sleep(wait)
            if finished:
                raise Refused(UNSUPPORTED, "media", "nothing may come after finish")
            if (data := message.get("bytes")) is not None:
                await stream.send(data)
                continue
            command = _command(message.get("text") or "")
            if command == "flush":
                await stream.flush()
            else:
                finished = True
                await stream.finish()

    async def _send(self, stream: PooledStream) -> Closed:
        """What the client gets; returns the end of it."""
        async for message in stream:
            if isinstance(message, Closed):
                return message
            await self._write(message.decode())
        raise AssertionError("a stream ends with Closed")

    async def _write(self, text: str) -> None:
        try:
            await asyncio.wait_for(self._socket.send_text(text), self._limits.send)
        except (TimeoutError, WebSocketDisconnect, RuntimeError):
            raise Gone from None

    async def _close(self, closed: Closed) -> None:
        if closed.kind:
            self._pool.metrics.errors.labels(closed.kind).inc()
            error = {"type": "error", "code": closed.kind, "message": closed.message}
            await self._write(json.dumps(error, ensure_ascii=False))
        reason = closed.message.encode()[:_REASON].decode(errors="ignore")
        with contextlib.suppress(TimeoutError, RuntimeError):
            await asyncio.wait_for(self._socket.close(closed.code, reason), self._limits.send)


def _command(text: str) -> str:
    """ "flush" or "finish". Raises Refused for anything else."""
    command: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        command = json.loads(text)
    kind = command.get("type") if isinstance(command, dict) else None
    if kind not in ("flush", "finish"):
        raise Refused(UNSUPPORTED, "message", 'text must be {"type": "flush"} or {"type": "finish"}')
    return str(kind)
