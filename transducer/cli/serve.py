"""`transducer serve`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import typer

from transducer.cli import app
from transducer.cli import parameters as p
from transducer.errors import UsageError
from transducer.server.limits import Limits
from transducer.text.times import parse_time

TOKEN = "TRANSDUCER_TOKEN"


@app.command()
def serve(
    host: Annotated[str, typer.Option("--host", help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 for any that is free.")] = 8700,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="A bundled model, or a folder; may be repeated. speech-en and shots."),
    ] = None,
    token: Annotated[
        str | None, typer.Option("--token", help=f"What clients have to know: ${TOKEN} if not given.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option("--allow-origin", metavar="ORIGIN", help="Pages of this origin may connect; may be repeated."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=256, help="Processes that compute: one a core.")
    ] = None,
    wyoming: Annotated[
        int | None,
        typer.Option(
            "--wyoming", metavar="PORT", min=0, max=65535, help="Serve Home Assistant's protocol, too: 10300."
        ),
    ] = None,
    max_clients: Annotated[int, typer.Option("--max-clients", min=1, help="Streams at a time.")] = Limits.clients,
    max_upload: Annotated[int, typer.Option("--max-upload", min=1, help="Megabytes of a file.")] = Limits.upload >> 20,
    max_time: Annotated[
        str | None, typer.Option("--max-time", metavar="TIME", help="How long a stream may last: 6:00:00.")
    ] = None,
    idle: Annotated[
        str | None, typer.Option("--idle", metavar="TIME", help="How long a stream may send nothing: 60 seconds.")
    ] = None,
) -> Callable[[], int]:
    """Serve words and labels to other programs: a WebSocket, OpenAI's transcription interface, and a page.

    See docs/server.md for what goes over the wire. Ctrl-C ends it when every stream has its results.
    """
    limits = Limits(clients=max_clients, upload=max_upload << 20)
    if max_time is not None:
        limits = replace(limits, total=parse_time(max_time, "--max-time", positive=True))
    if idle is not None:
        limits = replace(limits, idle=parse_time(idle, "--idle", positive=True))
    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "models": tuple(model or (p.DEFAULT_MODEL, p.DEFAULT_LABELLER)),
        "token": token if token is not None else os.environ.get(TOKEN),
        "origins": tuple(allow_origin or ()),
        "workers": workers,
        "wyoming": wyoming,
        "limits": limits,
    }
    return partial(_run, given)


def _run(given: dict[str, Any]) -> int:
    try:
        from transducer.server.serve import Settings, serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "transducer":
            raise
        raise UsageError(
            f"the server needs {error.name}; install what it needs, from the checkout: pip install '.[server]'"
        ) from None
    return serve(Settings(**given))
