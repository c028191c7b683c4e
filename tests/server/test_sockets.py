"""A WebSocket's end where the worker is busier than the server can wait for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from transducer.server import sockets
from transducer.server.limits import GOING_AWAY, Limits
from transducer.server.metrics import Metrics
from transducer.server.pool import Closed


class _Busy:
    """A stream whose last results do not come."""

    finished = False

    async def finish(self) -> None:
        self.finished = True

    def drop(self) -> None:
        pass

    async def __aiter__(self) -> AsyncIterator[bytes | Closed]:
        yield b'{"type": "ready"}'
        await asyncio.sleep(60)


class _Socket:
    """A client that says hello, and then nothing."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self._first = [{"type": "websocket.receive", "text": '{"type": "hello"}'}]

    async def accept(self) -> None:
        pass

    async def receive(self) -> dict[str, Any]:
        if not self._first:
            await asyncio.sleep(60)
        return self._first.pop()

    async def send_text(self, text: str) -> None:
        self.sent.append(json.loads(text))

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)


def test_a_stop_does_not_wait_for_results_that_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_FINALS", 0.05)

    async def run() -> tuple[_Socket, _Busy]:
        stream, socket, stopping = _Busy(), _Socket(), asyncio.Event()

        async def opened(hello: str, name: str) -> _Busy:
            return stream

        pool: Any = SimpleNamespace(limits=Limits(), metrics=Metrics(), stopping=stopping, open=opened)
        client: Any = socket
        access: Any = SimpleNamespace(check=lambda socket: None)
        asyncio.get_running_loop().call_later(0.05, stopping.set)
        await sockets.SocketSession(client, pool, access).run()
        return socket, stream

    socket, stream = asyncio.run(run())
    assert stream.finished
    message = "the server stops; of what was sent last there are no results"
    assert socket.sent[-1] == {"type": "error", "code": "stopping", "message": message}
    assert socket.closed == (GOING_AWAY, message)
