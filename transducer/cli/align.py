"""`transducer align`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from transducer.cli import _job, app
from transducer.cli import parameters as p
from transducer.results import Transcript


@app.command()
def align(
    file: Annotated[str, typer.Argument(metavar="AUDIO", help="What is said: a file, an address, or - for a pipe.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A file with what is said in it, as text.")],
    model: p.Model = p.DEFAULT_MODEL,
    format: Annotated[list[str] | None, p.format_option(Transcript)] = None,
    output_dir: p.OutputDir = None,
    output: p.Output = None,
    json: p.Json = False,
    start: p.Start = None,
    length: p.Length = None,
    track: p.Track = None,
    karaoke: p.Karaoke = False,
    chunk_ms: p.ChunkMs = None,
    device: p.OnDevice = None,
    threads: p.Threads = None,
) -> Callable[[], int]:
    """Find when each word of a given text is said.

    Each line of the text is a segment, with its words as they are written. Words get a confidence, low where something
    else is said; a text that does not match gets a warning.
    """
    given = dict(locals())
    return _job("align", {"files": [given.pop("file")], **given})
