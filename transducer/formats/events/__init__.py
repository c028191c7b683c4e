"""Formats of labellings."""

from __future__ import annotations

from functools import partial

from transducer.formats.events.chapters import render_chapters
from transducer.formats.events.document import json_rows, render_json
from transducer.formats.events.edl import render_edl
from transducer.formats.events.otio import render_otio
from transducer.formats.events.sheet import render_html
from transducer.formats.events.subtitles import render_subtitles
from transducer.formats.events.tables import in_order, render_csv, render_tsv, txt_rows
from transducer.formats.registry import Format, row_format

FORMATS = {
    "txt": row_format(txt_rows, in_order, named=True),
    "json": Format(render_json, options=frozenset(["indent"]), named=True, frames=True),
    "jsonl": row_format(json_rows, lambda labelling: labelling.events, named=True),
    "csv": Format(render_csv, frames=True),
    "tsv": Format(render_tsv, frames=True),
    "srt": Format(partial(render_subtitles, kind="srt")),
    "vtt": Format(partial(render_subtitles, kind="vtt")),
    "edl": Format(render_edl),
    "otio": Format(render_otio),
    "ffmetadata": Format(render_chapters),
    "html": Format(render_html, options=frozenset(["thumbnails"])),
}
