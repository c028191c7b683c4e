"""The server's addresses: the WebSocket, the HTTP interface, the page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from transducer.server.access import Access
from transducer.server.limits import Refused
from transducer.server.pool import Pool
from transducer.server.sockets import SocketSession
from transducer.server.transcriptions import Transcriptions

PAGE = Path(__file__).parent / "page"
# A page that loads nothing from elsewhere, and that nobody frames. Audio and video of dropped files are blobs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self' ws: wss:; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(self)",
    "cache-control": "no-cache",
}


class Page(StaticFiles):
    """The files of the page, with strict headers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            await send(message)

        await super().__call__(scope, receive, with_headers)


def make_app(pool: Pool, access: Access) -> Starlette:
    """The application over a pool that has been started."""

    async def stream(socket: WebSocket) -> None:
        await SocketSession(socket, pool, access).run()

    async def health(request: Request) -> Response:
        well = pool.healthy and not pool.stopping.is_set()
        status = "ok" if well else "stopping" if pool.stopping.is_set() else "starting"
        return JSONResponse({"status": status, "streams": pool.streams}, 200 if well else 503)

    async def metrics(request: Request) -> Response:
        access.check(request)
        return Response(pool.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    routes: list[Any] = [
        WebSocketRoute("/v1/stream", stream),
        *Transcriptions(pool, access).routes,
        Route("/healthz", health),
        Route("/metrics", metrics),
    ]
    if PAGE.is_dir():
        routes.append(Mount("/", Page(directory=PAGE, html=True)))
    middleware = []
    if access.origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(access.origins),
                allow_methods=["GET", "POST"],
                allow_headers=["authorization", "content-type"],
            )
        )
    handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {Refused: _refuse}
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)


async def _refuse(request: Request, refusal: Refused) -> Response:
    return JSONResponse({"error": {"message": refusal.message, "type": refusal.kind}}, refusal.status)
