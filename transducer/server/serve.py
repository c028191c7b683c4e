"""Running the server: sockets, signals, an end in which every stream gets its results."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from transducer.errors import UsageError
from transducer.media.io.prefetch import usable_cores
from transducer.server.access import Access, is_loopback
from transducer.server.app import make_app
from transducer.server.limits import Limits
from transducer.server.metrics import Metrics
from transducer.server.pool import Pool

_GRACE = 20.0  # seconds that streams have to end once the server is to stop


@dataclass(frozen=True)
class Settings:
    """What the server is to be.

    Attributes:
        host, port: to listen at; port 0 for any that is free.
        models: names of bundled models, or folders.
        token: that clients need; None for none.
        origins: of pages elsewhere that may connect.
        workers: processes that compute; None for one a core.
        wyoming: port of the Wyoming protocol; None for not at all.
        limits: of clients.
    """

    host: str = "127.0.0.1"
    port: int = 8700
    models: Sequence[str] = ("speech-en", "shots")
    token: str | None = None
    origins: Sequence[str] = ()
    workers: int | None = None
    wyoming: int | None = None
    limits: Limits = field(default_factory=Limits)


def serve(settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit status.

    Raises:
        UsageError: the address cannot be had, a model is not there, or strangers could come in without a token.
    """
    if settings.token is None and not is_loopback(settings.host):
        raise UsageError(
            f"--host {settings.host} lets other machines in: add --token with a secret of your own, "
            "or leave out --host for this machine alone"
        )
    if settings.token is not None and not re.fullmatch(r"[!-~]+", settings.token):
        raise UsageError("a token consists of letters, digits and signs of ASCII, without spaces")
    logging.basicConfig(format="transducer: %(message)s", level=logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # garbage that comes in is no news
    return asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    listener = _listen(settings.host, settings.port)
    stop, at_once = asyncio.Event(), asyncio.Event()

    def interrupt() -> None:
        (at_once if stop.is_set() else stop).set()  # who asks twice does not want to wait

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    workers = settings.workers or usable_cores()
    pool = Pool(_names(settings.models), settings.limits, Metrics(), workers)
    wyoming: asyncio.Server | None = None
    starting = asyncio.create_task(pool.start())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return 0
        starting.result()
        server = _Server(_config(make_app(pool, Access(settings.token, settings.origins)), settings.limits))
        running = asyncio.create_task(server.serve([listener]))
        while not server.started and not running.done():
            await asyncio.sleep(0.01)
        if settings.wyoming is not None:
            wyoming = await _start_wyoming(pool, settings)
        _say(f"listening at {_address(listener)}")
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        _say("stopping: every stream gets its results")
        for listening in (*server.servers, *([] if wyoming is None else [wyoming])):
            listening.close()
        pool.stopping.set()
        for _ in range(int(_GRACE / 0.05)):
            if not pool.streams or at_once.is_set():
                break
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)  # for the last close frames
        server.should_exit = True
        await running
        return 0
    finally:
        starting.cancel()
        stopping.cancel()
        await pool.stop()
        listener.close()


async def _start_wyoming(pool: Pool, settings: Settings) -> asyncio.Server:
    from transducer.server.wyoming import listen

    assert settings.wyoming is not None
    with _listen(settings.host, settings.wyoming) as place:
        address = _address(place)  # or what is wrong with it
    server = await listen(pool, settings.host, int(address.rpartition(":")[2]))
    _say(f"listening for Wyoming at {address.replace('http', 'tcp')}")
    if not is_loopback(settings.host):
        _say("warning: the Wyoming protocol knows no token: whoever reaches this port may use it")
    return server


def _say(message: str) -> None:
    print(f"transducer: {message}", file=sys.stderr, flush=True)


def _names(models: Sequence[str]) -> dict[str, str]:
    """Name that clients use -> name or folder."""
    found: dict[str, str] = {}
    for model in models:
        name = Path(model).resolve().name if os.sep in model or Path(model).is_dir() else model
        if found.setdefault(name, model) != model:
            raise UsageError(f"two models have the name {name}: {found[name]} and {model}")
    return found


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # What one client has sent is parsed at one go, while the others wait: so this is little.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise UsageError(f"cannot listen at {host}, port {port}: {reason}; choose another --port or --host") from None
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class _Http(H11Protocol):
    """Connections on which no request comes are closed: they would take the room of others."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.loop.call_later(Limits.hello, self._close_unused)

    def _close_unused(self) -> None:
        if self.scope is None and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """uvicorn without its own signals: streams end before it does."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: Starlette, limits: Limits) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Http,
        ws="websockets-sansio",
        ws_max_size=limits.message,
        ws_per_message_deflate=False,
        ws_ping_timeout=None,  # who is read slowly answers late, and who has vanished is idle
        limit_concurrency=limits.connections,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=15,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )
