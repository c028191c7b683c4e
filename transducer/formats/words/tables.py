"""Plain rows: text, tab-separated segments, and NIST CTM. Only final segments have some."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from transducer.formats.values import one_line
from transducer.results import Segment

TSV_HEADER = "start\tend\ttext\n"
PARAGRAPH_PAUSE = 2.0  # seconds of silence that end a paragraph


def txt_rows(source: str, paragraphs: bool = False) -> Callable[[Segment], str]:
    """The words on a line; nothing for a segment without words. `paragraphs`: an empty line at each long pause."""
    spoken: float | None = None  # until when

    def row(segment: Segment) -> str:
        nonlocal spoken
        text = one_line(segment.text)
        if not segment.final or not text:
            return ""
        before, spoken = spoken, segment.end
        pause = segment.start - before if before is not None else 0.0
        return ("\n" if paragraphs and pause >= PARAGRAPH_PAUSE else "") + text + "\n"

    return row


def tsv_rows(source: str) -> Callable[[Segment], str]:
    """start, end (seconds) and text."""

    def row(segment: Segment) -> str:
        text = one_line(segment.text)
        return f"{segment.start:.3f}\t{segment.end:.3f}\t{text}\n" if segment.final and text else ""

    return row


def ctm_rows(source: str) -> Callable[[Segment], str]:
    """A line a word: recording, channel, start, duration (seconds), word, confidence (NIST SCTK, ctm(5)).

    Spaces part the fields, so those inside a recording's name become underscores.
    """
    recording = "_".join(PurePath(source).stem.split()) or "recording"

    def row(segment: Segment) -> str:
        return "".join(
            f"{recording} 1 {word.start:.3f} {max(word.end - word.start, 0.0):.3f} {'_'.join(word.text.split())} "
            f"{word.confidence:.4f}\n"
            for word in (segment.words if segment.final else ())
        )

    return row
