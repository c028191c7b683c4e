"""Labellings as files: txt, json, jsonl, csv, tsv, srt, vtt, edl, otio, ffmetadata, html."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from transducer.atomic import atomic_write
from transducer.formats.events.chapters import render_chapters
from transducer.formats.events.document import render_json, render_json_line
from transducer.formats.events.edl import render_edl
from transducer.formats.events.otio import render_otio
from transducer.formats.events.sheet import Thumbnail, render_html
from transducer.formats.events.subtitles import render_subtitles
from transducer.formats.events.tables import render_csv, render_tsv, render_txt
from transducer.formats.names import known_format
from transducer.results import Labelling

__all__ = ["LABEL_FORMATS", "check_label_format", "render_labelling", "write_labelling"]

_RENDER: dict[str, Callable[[Labelling], Iterator[str]]] = {
    "txt": render_txt,
    "json": render_json,
    "jsonl": lambda labelling: (render_json_line(event, labelling.source) for event in labelling.events),
    "csv": render_csv,
    "tsv": render_tsv,
    "srt": lambda labelling: render_subtitles(labelling, "srt"),
    "vtt": lambda labelling: render_subtitles(labelling, "vtt"),
    "edl": render_edl,
    "otio": render_otio,
    "ffmetadata": render_chapters,
    "html": render_html,
}

LABEL_FORMATS = tuple(_RENDER)


def check_label_format(name: str) -> str:
    """See `known_format`."""
    return known_format(name, LABEL_FORMATS)


def render_labelling(labelling: Labelling, format: str, thumbnails: Iterable[Thumbnail] = ()) -> Iterator[str]:
    """The contents of the labelling's file in one of LABEL_FORMATS, in pieces.

    Args:
        thumbnails: for html, the pictures of `sheet.wanted_frames(labelling)` in the order of their frames, as far
            as there are any; they are taken one at a time.

    Raises:
        UsageError: unknown format.
    """
    format = check_label_format(format)
    return render_html(labelling, thumbnails) if format == "html" else _RENDER[format](labelling)


def write_labelling(
    labelling: Labelling, format: str, path: str | os.PathLike[str], thumbnails: Iterable[Thumbnail] = ()
) -> Path:
    """Write the labelling to `path`, whole or not at all; see `render_labelling`.

    Raises:
        UsageError: unknown format.
        OSError: the file cannot be written; nothing is left of it, and an older file of the name stays.
    """
    pieces = render_labelling(labelling, format, thumbnails)
    with atomic_write(path) as file:
        file.writelines(pieces)
    return Path(path)
