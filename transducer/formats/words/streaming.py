"""Results as they come, written to a pipe."""

from __future__ import annotations

from typing import TextIO

from transducer.formats import check_format, render
from transducer.formats.words.document import render_json, render_json_line
from transducer.formats.words.tables import TSV_HEADER, ctm_rows, tsv_row, txt_row
from transducer.results import Segment, Transcript

# What can be written a segment at a time. The others need the end of the file: a subtitle stays on the screen
# for as long as the next one lets it, and a JSON document is one value.
ROW_FORMATS = frozenset(("txt", "jsonl", "tsv", "ctm"))


class ResultWriter:
    """Write one source's results to an open text file, each line flushed when it is final.

    Final segments are written; jsonl has the partial ones as well, told apart by `final`. A whole-file format
    is written by `finish`; json is then one document on one line, so that several files make JSON lines.

    Args:
        out: where to.
        format: one of FORMATS.
        source: the name that the rows of jsonl and ctm bear.

    Raises:
        UsageError: unknown format.
        OSError: from any method, as from `out`.
    """

    def __init__(self, out: TextIO, format: str, source: str) -> None:
        self._out = out
        self._format = check_format(format)
        self._source = source
        if self._format == "tsv":
            self._write(TSV_HEADER)

    def segment(self, segment: Segment) -> None:
        """Take the next result, partial or final."""
        if self._format == "jsonl":
            self._write(render_json_line(segment, self._source))
        elif not segment.final:
            return
        elif self._format == "txt":
            self._write(txt_row(segment))
        elif self._format == "tsv":
            self._write(tsv_row(segment))
        elif self._format == "ctm":
            self._write(ctm_rows(segment, self._source))

    def finish(self, transcript: Transcript) -> None:
        """Take the whole transcript, after its last segment."""
        if self._format == "json":
            self._write(render_json(transcript, indent=None))
        elif self._format not in ROW_FORMATS:
            self._write(render(transcript, self._format))

    def _write(self, text: str) -> None:
        if text:
            self._out.write(text)
            self._out.flush()
