"""Plain rows: a listing to read, and tables for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from itertools import pairwise

from transducer.formats.values import clock, one_line
from transducer.results import Event, Labelling, Scene
from transducer.search.events.rules import OF_WHOLES

# Kinds of labellings whose listings have scenes: shots, or the label of a clip. Of others the events say it all.
LISTED_SCENES = ("transitions", *OF_WHOLES)
COLUMNS = ("type", "label", "start", "end", "start_frame", "end_frame", "score")


def txt_rows(source: str) -> Callable[[Event | Scene], str]:
    """Times, frames, label, and the score of what has one: an event, or a scene that was recognised."""
    return listed


def listed(item: Event | Scene) -> str:
    """A line of the listing."""
    times = f"{clock(item.start)}  {clock(item.end)}"
    frames = f"{item.start_frame}-{item.end_frame}"
    score = f"{item.score:.2f}" if isinstance(item, Event) or item.score < 1 else ""
    label = one_line(item.label) or "-"
    return f"{times}  {frames:>15}  {label:<10}  {score}".rstrip() + "\n"


def in_order(labelling: Labelling) -> list[Event | Scene]:
    """What a listing has, in the order of time."""
    scenes = labelling.segments if labelling.kind in LISTED_SCENES else ()
    # An event that lies between two shots begins with the last frame of the first.
    return sorted((*scenes, *labelling.events), key=lambda x: (x.start_frame, isinstance(x, Event), x.end_frame))


def render_csv(labelling: Labelling) -> Iterator[str]:
    """Comma-separated (RFC 4180, lines end with a newline alone), with a header."""
    for row in _rows(labelling):
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(row)
        yield line.getvalue()


def render_tsv(labelling: Labelling) -> Iterator[str]:
    """Tab-separated, with a header; white space inside labels becomes single spaces."""
    for row in _rows(labelling):
        yield "\t".join(one_line(str(cell)) for cell in row) + "\n"


def _rows(labelling: Labelling) -> Iterator[tuple[object, ...]]:
    yield COLUMNS
    for event in labelling.events:
        yield _row("event", event)
    for scene in labelling.segments:
        yield _row("segment", scene)
    if labelling.frame_scores is not None:
        times = [*(labelling.frame_times or ()), labelling.duration]
        # Of a video that was broken off, the last frames have times and no scores.
        rows = zip(labelling.frame_labels or (), labelling.frame_scores, pairwise(times), strict=False)
        for index, (label, scores, (start, end)) in enumerate(rows):
            yield "frame", label, f"{start:.6f}", f"{end:.6f}", index, index, f"{max(scores):.4f}"


def _row(kind: str, item: Event | Scene) -> tuple[object, ...]:
    return (
        kind, item.label, f"{item.start:.6f}", f"{item.end:.6f}", item.start_frame, item.end_frame, f"{item.score:.4f}",
    )  # fmt: skip
