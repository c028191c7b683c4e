"""Rows of a table -> its items: which rows belong together, what they say, and whether it makes sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from posixpath import basename, normpath, splitext
from typing import Any

from transducer.data.item import Item, Mark
from transducer.data.rows import KINDS, TIMES, Row, shown

_DEV = frozenset({"dev", "valid", "validation", "val", "test", "eval"})
_EVENTS = ("events", "label", *TIMES)


def make_items(rows: Sequence[Row], wanted: Sequence[str], overlaps: str, check_media: bool) -> tuple[Item, ...]:
    """The items of a table, in the order of their first rows; the arguments are those of `read_table`.

    Raises:
        UsageError: in one line with the table's name and line.
    """
    drafts: dict[tuple[str, str], _Draft] = {}
    for row in rows:
        _add(drafts, row, wanted)
    found = list(drafts.values())
    _check_kinds(found)
    ids = _ids(found)
    return tuple(_item(draft, identity, overlaps, check_media) for draft, identity in zip(found, ids, strict=True))


@dataclass
class _Draft:
    """An item that more rows may add to."""

    row: Row
    kind: str
    events: list[Mark] = field(default_factory=list)
    split: str = ""


def _add(drafts: dict[tuple[str, str], _Draft], row: Row, wanted: Sequence[str]) -> None:
    name, values = row.values["path"].strip(), row.values
    kind, split = _kind(row, wanted), _split(row)
    key = (normpath(name), _given_id(row, kind))
    draft = drafts.get(key)
    if draft is None:
        draft = drafts[key] = _Draft(row, kind, split=split)
    elif kind != "events" or "events" in values or "events" in draft.row.values or draft.kind != "events":
        raise row.problem(f"{shown(name)} is on line {draft.row.line} already: an item comes once")
    elif split != draft.split:
        raise row.problem(
            f"{shown(name)} is in the split {draft.split!r} on line {draft.row.line}, and in {split!r} here"
        )
    if kind != "events":
        return
    if "events" in values:
        events = values["events"]
        if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
            raise row.problem('events must be a list such as [{"start": 1.2, "end": 1.9, "label": "swing"}]')
        draft.events += [_mark(replace(row, values=event)) for event in events]
    elif any(values.get(key) not in (None, "") for key in TIMES) or row.name("label"):
        draft.events.append(_mark(row))


def _kind(row: Row, wanted: Sequence[str]) -> str:
    values = row.values
    found = [kind for kind in KINDS if values.get(kind) not in (None, "")]
    if "events" not in found and any(key in values for key in TIMES):
        found = ["events", *(kind for kind in found if kind != "label")]
    if not found and values.get("text") is not None:
        found = ["text"]
    suited = [kind for kind in found if kind in wanted] or found
    if len(suited) > 1:
        raise row.problem(
            f"an item has one of events, labels, label and text; {shown(values['path'])} has {' and '.join(suited)}"
        )
    kind = suited[0] if suited else ""
    if wanted and kind not in wanted:
        instead = replace(row, values={name: value for name, value in values.items() if name not in wanted})
        raise row.problem(f"{shown(values['path'])} has no {' or '.join(wanted)}{instead.missing(*wanted)}")
    return kind


def _check_kinds(drafts: Sequence[_Draft]) -> None:
    first = drafts[0]
    for draft in drafts:
        if draft.kind != first.kind:
            odd, other = (draft, first) if first.kind else (first, draft)
            raise odd.row.problem(
                f"{shown(odd.row.values['path'])} has {odd.kind or 'none of events, labels, label and text'}, but "
                f"{shown(other.row.values['path'])} on line {other.row.line} has {other.kind}: all items of a table "
                "must have the same"
            )


def _split(row: Row) -> str:
    split = row.name("split").lower()
    if split and split != "train" and split not in _DEV:
        raise row.problem(f"unknown split {shown(split)!r}: there are train and dev")
    return "dev" if split in _DEV else split


def marks_of(table: Path, line: int, events: Sequence[Mapping[str, Any]]) -> tuple[Mark, ...]:
    """Events as a list of objects has them. Raises UsageError, with the line."""
    found = [_mark(Row(table, line, dict(event))) for event in events]
    return tuple(sorted(found, key=lambda mark: mark.start))


def _mark(row: Row) -> Mark:
    label = row.name("label")
    seconds, frames = (row.time("start"), row.time("end")), (row.number("start_frame"), row.number("end_frame"))
    if not label:
        raise row.problem(f"an event has no label{row.missing('label')}")
    by_frames = frames != (None, None)
    if by_frames and seconds != (None, None):
        raise row.problem(f"the event {shown(label)!r} has seconds and frames: leave one of them out")
    start, end = frames if by_frames else seconds
    if start is None:
        raise row.problem(f"the event {shown(label)!r} has no start{row.missing('start', 'start_frame')}")
    mark = Mark(label, start, end, by_frames, row.line)
    if by_frames and any(value is not None and value != int(value) for value in frames):
        raise row.problem(f"the event {mark} must have whole frames")
    if start < 0:
        raise row.problem(f"the event {mark} starts before the clip")
    if end is not None and (end < start or (end == start and not by_frames)):
        raise row.problem(f"the event {mark} ends before it has begun; leave the end out for a moment")
    return mark


def _given_id(row: Row, kind: str) -> str:
    """Where a row is an event, an id is that of the event and tells nothing of the item."""
    return "" if kind == "events" and "events" not in row.values else row.name("id")


def _ids(drafts: Sequence[_Draft]) -> list[str]:
    paths = [normpath(draft.row.values["path"].strip()) for draft in drafts]
    bare = [splitext(path)[0] for path in paths]
    forms = ([basename(path) for path in bare], bare, paths)
    implied = next((form for form in forms if len(set(form)) == len(form)), forms[-1])
    ids = [_given_id(draft.row, draft.kind) or other for draft, other in zip(drafts, implied, strict=True)]
    lines: dict[str, int] = {}
    for draft, identity in zip(drafts, ids, strict=True):
        if identity in lines:
            raise draft.row.problem(f"id {shown(identity)!r} is already used on line {lines[identity]}")
        lines[identity] = draft.row.line
    return ids


def _item(draft: _Draft, identity: str, overlaps: str, check_media: bool) -> Item:
    row, values, kind = draft.row, draft.row.values, draft.kind
    name = values["path"].strip()
    path = row.table.parent / name
    if check_media:
        _check_file(row, path)
    seconds = row.time("seconds")
    if seconds is not None and seconds < 0:
        raise row.problem(f"seconds {shown(values['seconds'])} is no duration")
    used = {"path", "id", "seconds", "speaker", "split", kind, *(_EVENTS if kind == "events" else ())}
    extra = {key: value for key, value in values.items() if key not in used}
    speaker = row.name("speaker")
    return Item(
        name, identity, path, row.line, seconds, speaker, split=draft.split, extra=extra, **_known(draft, overlaps)
    )


def _known(draft: _Draft, overlaps: str) -> dict[str, Any]:
    """What is to be learned of an item, as an argument of `Item`."""
    row, kind = draft.row, draft.kind
    if kind == "events":
        events = sorted(draft.events, key=lambda event: (event.start, event.line))
        if overlaps == "refuse":
            _check_overlaps(row, events)
        return {"events": tuple(events)}
    if kind == "label":
        return {"label": row.name("label")}
    value: Any = row.values[kind] if kind else ""
    if kind in ("", "text") and isinstance(value, str):
        return {"text": value}
    names = value.split() if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(entry, str) for entry in names):
        raise row.problem(f"{kind} must be a list of names, or names in one string")
    if kind == "labels":
        return {"labels": tuple(names)}
    spaced = next((word for word in names if word.split() != [word]), None)
    if spaced is not None:
        raise row.problem(f"the word {shown(spaced)!r} must be one word: write left-turn, not left turn")
    return {"text": " ".join(names)}


def _check_file(row: Row, path: Path) -> None:
    try:
        if not path.is_file():
            raise row.problem(f"no such file: {shown(str(path))}")
    except OSError as error:
        raise row.problem(f"{shown(str(path))}: {error.strerror}") from None
    except ValueError:
        raise row.problem(f"no file can have the name {shown(str(path))}") from None


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
