"""Transcripts as files: txt, json, jsonl, srt, vtt, tsv, ctm."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from transducer.atomic import atomic_write
from transducer.formats.names import known_format
from transducer.formats.words.document import parse_json, render_json, render_json_line
from transducer.formats.words.tables import TSV_HEADER, ctm_rows, tsv_row, txt_row
from transducer.results import Transcript

__all__ = ["FORMATS", "check_format", "parse_json", "render", "write_transcript"]


def _subtitles(transcript: Transcript, kind: str) -> str:
    from transducer.formats.words.subtitles import render_subtitles

    return render_subtitles(transcript, kind)


_RENDER: dict[str, Callable[[Transcript], str]] = {
    "txt": lambda t: "".join(txt_row(segment) for segment in t.segments),
    "json": render_json,
    "jsonl": lambda t: "".join(render_json_line(segment, t.source) for segment in t.segments),
    "srt": lambda t: _subtitles(t, "srt"),
    "vtt": lambda t: _subtitles(t, "vtt"),
    "tsv": lambda t: TSV_HEADER + "".join(tsv_row(segment) for segment in t.segments),
    "ctm": lambda t: "".join(ctm_rows(segment, t.source) for segment in t.segments),
}

FORMATS = tuple(_RENDER)


def check_format(name: str) -> str:
    """See `known_format`."""
    return known_format(name, FORMATS)


def render(transcript: Transcript, format: str) -> str:
    """The contents of the transcript's file in one of FORMATS.

    Raises:
        UsageError: unknown format.
    """
    return _RENDER[check_format(format)](transcript)


def write_transcript(transcript: Transcript, format: str, path: str | os.PathLike[str]) -> Path:
    """Write the transcript to `path`, whole or not at all.

    Raises:
        UsageError: unknown format.
        OSError: the file cannot be written; nothing is left of it, and an older file of the name stays.
    """
    contents = render(transcript, format)
    with atomic_write(path) as file:
        file.write(contents)
    return Path(path)
