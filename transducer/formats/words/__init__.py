"""Formats of transcripts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from transducer.formats.registry import Format, row_format
from transducer.formats.subtitles import render_cues
from transducer.formats.words.cues import make_cues
from transducer.formats.words.document import json_rows, render_json
from transducer.formats.words.karaoke import light_words
from transducer.formats.words.tables import TSV_HEADER, ctm_rows, tsv_rows, txt_rows
from transducer.results import Segment, Transcript


def _segments(transcript: Transcript) -> tuple[Segment, ...]:
    return transcript.segments


def _subtitles(kind: str, transcript: Transcript, karaoke: bool = False) -> Iterator[str]:
    cues = make_cues(transcript)
    return render_cues(light_words(cues, transcript) if karaoke else cues, kind)


FORMATS = {
    "txt": row_format(txt_rows, _segments, options=["paragraphs"], named=True),
    "json": Format(render_json, options=frozenset(["indent"]), named=True),
    "jsonl": row_format(json_rows, _segments, named=True),
    "srt": Format(partial(_subtitles, "srt"), options=frozenset(["karaoke"])),
    "vtt": Format(partial(_subtitles, "vtt"), options=frozenset(["karaoke"])),
    "tsv": row_format(tsv_rows, _segments, TSV_HEADER),
    "ctm": row_format(ctm_rows, _segments, named=True),
}
