"""Tables of clips and what is to be learned from them.

JSON lines have a clip a line: its `path`, relative to the table's folder, and one of

    events      [{"start": 1.2, "end": 1.9, "label": "swing"}, ...], seconds; or start_frame and end_frame, both
                included, from 0. An event without an end is a moment, one frame.
    labels      a label for every frame: a list, or names in one string
    label       one label for the clip
    text        what is said or shown, a sequence of words: a string, or a list; also called `words`

Tables with columns have a row for every event: clip, start, end, label (or start_frame, end_frame). A row with
neither times nor label is a clip in which nothing happens. Without columns for times, `label`, `labels` or `text`
is that of the clip, one row each. A `split` says which clips are for training ("train") and which are held out
("dev").
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from transducer.data.video_tables import KINDS, Row, read_rows
from transducer.errors import UsageError

_TIMES = ("start", "end", "start_frame", "end_frame")
_DEV = frozenset({"dev", "valid", "validation", "val", "test", "eval"})


@dataclass(frozen=True)
class Mark:
    """An event as a manifest has it: seconds [start, end), or frames from start to end inclusive.

    `end` is None for a moment: the frame that is shown at `start`.
    """

    label: str
    start: float
    end: float | None
    frames: bool
    line: int

    @property
    def moment(self) -> bool:
        """Whether it is one frame."""
        return self.end is None or (self.frames and self.end == self.start)

    def __str__(self) -> str:
        unit = "frame" if self.frames else "second"
        until = "" if self.end is None else f" to {self.end:g}"
        return f"{self.label!r} at {unit} {self.start:g}{until}"


@dataclass(frozen=True)
class Clip:
    """A clip and one kind of labels; the others are None.

    Attributes:
        path: of the file; `name` as the table has it.
        line: of its first row.
        events: in the order of their starts.
        labels: of each frame, "" for the background.
        label: of the whole.
        words: in a row.
        split: "train", "dev", or "" where the table does not say.
    """

    name: str
    path: Path
    line: int
    events: tuple[Mark, ...] | None = None
    labels: tuple[str, ...] | None = None
    label: str | None = None
    words: tuple[str, ...] | None = None
    split: str = ""

    @property
    def kind(self) -> str:
        """What it has: "events", "labels", "label" or "text"."""
        values = {"events": self.events, "labels": self.labels, "label": self.label, "text": self.words}
        return next(name for name, value in values.items() if value is not None)

    @property
    def names(self) -> Iterable[str]:
        """The labels that occur, with repetitions, the background left out."""
        if self.events is not None:
            return (event.label for event in self.events)
        if self.label is not None:
            return (self.label,)
        return (name for name in self.labels or self.words or () if name)


@dataclass(frozen=True)
class VideoManifest:
    """All clips of a table, of one kind.

    Attributes:
        labels: those that occur, sorted; or those that were declared, in their order.
    """

    path: Path
    clips: tuple[Clip, ...]
    labels: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.clips[0].kind

    @property
    def moments(self) -> bool:
        """Whether all events are moments."""
        events = [event for clip in self.clips for event in clip.events or ()]
        return bool(events) and all(
            event.end is None or (event.frames and event.end == event.start) for event in events
        )

    def problem(self, line: int, text: str) -> UsageError:
        return UsageError(f"{self.path}, line {line}: {text}")

    def parts(self, share: float = 0.15) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
        """The clips for training and those held out.

        As the table says, if it says so of any clip: then those without a split are for training. Else a share of
        the clips is held out, for each label apart, by a hash of their names: the same ones every time, and
        mostly the same when clips are added.
        """
        if any(clip.split for clip in self.clips):
            held = {clip.name for clip in self.clips if clip.split == "dev"}
        else:
            ordered = sorted(self.clips, key=lambda clip: hashlib.sha256(clip.name.encode()).digest())
            groups: dict[str, list[Clip]] = {}
            for clip in ordered:
                groups.setdefault(clip.label or "", []).append(clip)
            held = {clip.name for group in groups.values() for clip in group[: round(share * len(group))]}
            if not held and share > 0 and len(ordered) > 3:
                held = {ordered[0].name}
        train = tuple(clip for clip in self.clips if clip.name not in held)
        if not train:
            raise UsageError(f"{self.path}: all clips are held out, none is left to train on")
        return train, tuple(clip for clip in self.clips if clip.name in held)


@dataclass
class _Draft:
    """A clip that more rows may add to."""

    row: Row
    kind: str
    events: list[Mark] = field(default_factory=list)
    value: Any = None
    split: str = ""


def read_video_manifest(
    path: str | Path, *, labels: Sequence[str] = (), overlaps: str = "refuse", check_media: bool = True
) -> VideoManifest:
    """Read and check a manifest; the clips themselves are not opened.

    Args:
        labels: all that there are; a label that is not among them is an error. Those that occur, if empty.
        overlaps: "refuse" events that share a time with another one of the same clip; with "later", their common
            frames belong to the one that starts later.
        check_media: whether every clip has to exist.

    Raises:
        UsageError: in one line with the table's name and line: what is wrong, and with which clip or event.
    """
    if overlaps not in ("refuse", "later"):
        raise UsageError(f"overlaps is {overlaps!r}: it must be 'refuse' or 'later'")
    table = Path(path)
    if table.is_dir():
        table = _only_table(table)
    drafts: dict[str, _Draft] = {}
    for row in read_rows(table):
        _add(drafts, row)
    clips = [_clip(name, draft, overlaps, check_media) for name, draft in drafts.items()]
    kinds = {clip.kind: clip for clip in clips}
    if len(kinds) > 1:
        first, other = clips[0], next(clip for clip in clips if clip.kind != clips[0].kind)
        raise UsageError(
            f"{table}, line {other.line}: {other.name} has {other.kind}, but {first.name} on line {first.line} has "
            f"{first.kind}: all clips of a manifest must have the same"
        )
    found = {name for clip in clips for name in clip.names}
    for clip in clips if labels else ():
        for number, name in enumerate(clip.names):
            if name not in labels:
                line = clip.events[number].line if clip.events else clip.line
                raise UsageError(f"{table}, line {line}: unknown label {name!r}: there are {', '.join(labels)}")
    if not found:
        raise UsageError(f"{table}: no clip has any label: there is nothing to learn")
    return VideoManifest(table, tuple(clips), tuple(labels) or tuple(sorted(found)))


def _only_table(folder: Path) -> Path:
    found = sorted(path for path in folder.iterdir() if path.suffix in (".jsonl", ".csv", ".tsv"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise UsageError(f"{folder}: a folder needs one table of clips (.jsonl, .csv or .tsv), found {names}")
    return found[0]


def _add(drafts: dict[str, _Draft], row: Row) -> None:
    name, values = row.values["path"].strip(), row.values
    timed = any(values.get(key) not in (None, "") for key in _TIMES)
    kind = "events" if any(key in values for key in _TIMES) else _kind(row)
    split = _split(row)
    draft = drafts.get(name)
    if draft is None:
        draft = drafts[name] = _Draft(row, kind, split=split)
    elif kind != "events" or "events" in values or draft.kind != "events":
        raise row.problem(f"{name} is on line {draft.row.line} already: a clip comes once")
    elif split != draft.split:
        raise row.problem(f"{name} is in the split {draft.split!r} on line {draft.row.line}, and in {split!r} here")
    if "events" in values:
        events = values["events"]
        if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
            raise row.problem('events must be a list such as [{"start": 1.2, "end": 1.9, "label": "swing"}]')
        draft.events += [_mark(replace(row, values=event)) for event in events]
    elif kind != "events":
        draft.value = values[kind]
    elif timed or row.name("label"):
        draft.events.append(_mark(row))


def _kind(row: Row) -> str:
    found = [kind for kind in KINDS if row.values.get(kind) not in (None, "")]
    if len(found) != 1:
        listed = " and ".join(found) if found else "none of them"
        raise row.problem(f"a clip has one of events, labels, label and text; {row.values['path']} has {listed}")
    return found[0]


def _split(row: Row) -> str:
    split = row.name("split").lower()
    if split and split != "train" and split not in _DEV:
        raise row.problem(f"unknown split {split!r}: there are train and dev")
    return "dev" if split in _DEV else split


def _mark(row: Row) -> Mark:
    label = row.name("label")
    seconds, frames = ((row.number(key), row.number(end)) for key, end in (_TIMES[:2], _TIMES[2:]))
    if not label:
        raise row.problem("an event has no label")
    by_frames = frames != (None, None)
    if by_frames and seconds != (None, None):
        raise row.problem(f"the event {label!r} has seconds and frames: leave one of them out")
    start, end = frames if by_frames else seconds
    if start is None:
        raise row.problem(f"the event {label!r} has no start")
    mark = Mark(label, start, end, by_frames, row.line)
    if by_frames and any(value is not None and value != int(value) for value in frames):
        raise row.problem(f"the event {mark} must have whole frames")
    if start < 0:
        raise row.problem(f"the event {mark} starts before the clip")
    if end is not None and (end < start or (end == start and not by_frames)):
        raise row.problem(f"the event {mark} ends before it has begun; leave the end out for a moment")
    return mark


def _clip(name: str, draft: _Draft, overlaps: str, check_media: bool) -> Clip:
    row, value = draft.row, draft.value
    path = row.table.parent / name
    if check_media and not path.is_file():
        raise row.problem(f"no such file: {path}")
    clip = Clip(name, path, row.line, split=draft.split)
    if draft.kind == "events":
        events = sorted(draft.events, key=lambda event: (event.start, event.line))
        if overlaps == "refuse":
            _check_overlaps(row, events)
        return replace(clip, events=tuple(events))
    if draft.kind == "label":
        return replace(clip, label=row.name("label"))
    names = value.split() if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(item, str) for item in names):
        raise row.problem(f"{draft.kind} must be a list of names, or names in one string")
    return replace(clip, **{"labels" if draft.kind == "labels" else "words": tuple(names)})


def _check_overlaps(row: Row, events: Sequence[Mark]) -> None:
    latest: Mark | None = None
    for event in events:
        if latest is not None and latest.frames == event.frames:
            end = latest.start if latest.end is None else latest.end
            if event.start < end or event.start == latest.start or (event.frames and event.start == end):
                raise replace(row, line=event.line).problem(
                    f"the event {event} overlaps {latest} of line {latest.line}: a frame has one label; change them, "
                    "or let the later one have it (overlaps=later)"
                )
        if latest is None or _end(event) > _end(latest):
            latest = event


def _end(event: Mark) -> float:
    return event.start if event.end is None else event.end
