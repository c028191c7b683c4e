"""Plain rows: text, tab-separated segments, and NIST CTM."""

from __future__ import annotations

from pathlib import PurePath

from transducer.results import Segment

TSV_HEADER = "start\tend\ttext\n"


def txt_row(segment: Segment) -> str:
    """The words on a line; nothing for a segment without words."""
    text = " ".join(segment.text.split())
    return f"{text}\n" if text else ""


def tsv_row(segment: Segment) -> str:
    """start, end (seconds) and text."""
    text = " ".join(segment.text.split())
    return f"{segment.start:.3f}\t{segment.end:.3f}\t{text}\n" if text else ""


def ctm_rows(segment: Segment, source: str) -> str:
    """A line a word: recording, channel, start, duration (seconds), word, confidence (NIST SCTK, ctm(5)).

    Spaces part the fields, so those inside a recording's name become underscores.
    """
    recording = "_".join(PurePath(source).stem.split()) or "recording"
    return "".join(
        f"{recording} 1 {word.start:.3f} {max(word.end - word.start, 0.0):.3f} {'_'.join(word.text.split())} "
        f"{word.confidence:.4f}\n"
        for word in segment.words
    )
