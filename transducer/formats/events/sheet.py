"""A contact sheet: one page that needs nothing else, a strip of pictures a scene, to be looked over by a person."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import PurePath
from types import MappingProxyType
from typing import NamedTuple

from transducer.formats.events.sheet_style import STYLE
from transducer.formats.values import clock
from transducer.results import Event, Labelling, Scene

BOX = (192, 108)  # pixels, width and height that a picture is made to fit into
STRIP = 6  # pictures of a scene at most
STRIP_SECONDS = 3.0  # that each of them stands for in a long one
MOST_PICTURES = 6000  # on a page; each has about 5 kB
_COLORS = 8  # classes of colours in the style


class Thumbnail(NamedTuple):
    """A frame as a small picture."""

    frame: int
    jpeg: bytes


def thumbnail_size(width: int, height: int) -> tuple[int, int]:
    """(height, width) of the pictures of a video of this size; never larger than its own."""
    scale = min(BOX[0] / width, BOX[1] / height, 1.0)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def wanted_frames(labelling: Labelling) -> list[int]:
    """The frames that the page has pictures of, ascending."""
    return sorted(set().union(*(set(frames) for _, frames in _plan(labelling))))


def render_html(
    labelling: Labelling,
    thumbnails: Iterable[Thumbnail] = (),
    captions: Mapping[int | None, Iterable[str]] = MappingProxyType({}),
) -> Iterator[str]:
    """The page in pieces. Pictures that are wanted and do not come leave no gap.

    Args:
        thumbnails: of `wanted_frames`, ascending.
        captions: lines of text below scenes, by their numbers (from 0); those of None come before the first.
    """
    name = PurePath(labelling.source).name or labelling.source
    colors = _color_classes(labelling)
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(name)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{_text(name)}</h1>\n"
        f"<p>{_summary(labelling, colors)}</p>\n"
    )
    for warning in labelling.warnings:
        yield f'<p class="warning">{_text(warning)}</p>\n'
    yield _bar(labelling, colors) + "</header>\n<main>\n" + _said(captions.get(None, ()))
    pictures = _Pictures(thumbnails)
    number = 0
    for item, frames in _plan(labelling):
        if isinstance(item, Scene):
            number += 1
            strip = pictures.strip(frames) + _said(captions.get(number - 1, ()))
            yield _scene(item, number, labelling, colors, strip)
        else:
            yield _event(item, colors, pictures.strip(frames))
    yield "</main>\n</body>\n</html>\n"


class _Pictures:
    """Takes pictures in the order of their frames, and no more of them than is asked for."""

    def __init__(self, thumbnails: Iterable[Thumbnail]) -> None:
        self._rest = iter(thumbnails)
        self._next = next(self._rest, None)

    def strip(self, frames: Iterable[int]) -> str:
        figures = []
        for frame in frames:
            while self._next is not None and self._next.frame < frame:
                self._next = next(self._rest, None)
            if self._next is not None and self._next.frame == frame:
                data = base64.b64encode(self._next.jpeg).decode("ascii")
                figures.append(
                    f'<figure><img loading="lazy" decoding="async" alt="frame {frame}" '
                    f'src="data:image/jpeg;base64,{data}"><figcaption>{frame}</figcaption></figure>'
                )
        return f'<div class="strip">{"".join(figures)}</div>\n' if figures else ""


def _plan(labelling: Labelling) -> Iterator[tuple[Event | Scene, list[int]]]:
    """What the page shows, from top to bottom, with the frames of its strip; they ascend over the whole page."""
    items: list[Event | Scene] = list(labelling.segments)
    if labelling.kind == "transitions":
        items = sorted((*items, *labelling.events), key=lambda x: (x.start_frame, isinstance(x, Event), x.end_frame))
    most = max(min(STRIP, MOST_PICTURES // max(len(items), 1)), 1)
    last = -1
    for item in items:
        if isinstance(item, Event):
            first, end, count = item.start_frame + 1, item.end_frame - 1, 3
        else:
            first, end = item.start_frame, item.end_frame
            count = 2 + int((item.end - item.start) / STRIP_SECONDS)
        frames = [frame for frame in _spread(max(first, last + 1), end, min(count, most)) if frame < labelling.frames]
        last = max(frames, default=last)
        yield item, frames


def _spread(first: int, last: int, count: int) -> list[int]:
    """Up to `count` frames from the first to the last, both included; of one alone the middle."""
    length = last - first + 1
    if length <= count:
        return list(range(first, last + 1))
    if count == 1:
        return [first + length // 2]
    return [first + round(k * (length - 1) / (count - 1)) for k in range(count)]


def _summary(labelling: Labelling, colors: dict[str, str]) -> str:
    counts = {label: sum(event.label == label for event in labelling.events) for label in colors}
    parts = [clock(labelling.duration), f"{labelling.frames} frames", f"{labelling.fps:.6g} frames per second"]
    if labelling.kind == "transitions":
        parts.append(f"{len(labelling.segments)} shots")
    parts = [_text(part) for part in parts]
    parts += [f"{_chip(label, colors)} {count}" for label, count in counts.items() if count]
    return " · ".join(parts)


def _bar(labelling: Labelling, colors: dict[str, str]) -> str:
    """The whole video as a bar: scenes in turn light and dark, events in their colours; each leads to its scene."""
    if not labelling.segments:
        return ""
    zero = labelling.segments[0].start
    total = max(labelling.duration - zero, 1e-6)
    marks = []
    for number, scene in enumerate(labelling.segments, start=1):
        left, width = 100 * (scene.start - zero) / total, 100 * (scene.end - scene.start) / total
        kind = colors.get(scene.label, f"scene{number % 2}")
        title = f"{_title(scene, number)}, {clock(scene.start)}"
        marks.append(
            f'<a href="#s{number}" class="{kind}" title="{_text(title)}" '
            f'style="left:{left:.4f}%;width:{width:.4f}%"></a>'
        )
    if labelling.kind == "transitions":
        for event in labelling.events:
            left, width = 100 * (event.start - zero) / total, 100 * (event.end - event.start) / total
            title = f"{event.label} {event.score:.2f}, {clock(event.start)}"
            marks.append(
                f'<i class="{colors[event.label]}" title="{_text(title)}" '
                f'style="left:{left:.4f}%;width:{width:.4f}%"></i>'
            )
    return f'<nav class="bar" aria-label="timeline">{"".join(marks)}</nav>\n'


def _scene(scene: Scene, number: int, labelling: Labelling, colors: dict[str, str], strip: str) -> str:
    facts = f"{_times(scene)} · {scene.end - scene.start:.2f} s · {_frames(scene)}"
    chips = ""
    if labelling.kind != "transitions":
        begun = [event for event in labelling.events if scene.start_frame <= event.start_frame <= scene.end_frame]
        chips = "".join(f" {_chip(e.label, colors)} {clock(e.start)} {_score(e)}" for e in begun)
    title = _text(_title(scene, number))
    if scene.label in colors:
        title = f"{number} {_chip(scene.label, colors)} {_score(scene) if scene.score < 1 else ''}"
    return f'<section id="s{number}"><h2>{title}</h2><p>{facts}{chips}</p>\n{strip}</section>\n'


def _event(event: Event, colors: dict[str, str], strip: str) -> str:
    facts = f"{_chip(event.label, colors)} {_score(event)} · {_times(event)} · {_frames(event)}"
    return f'<section class="event"><p>{facts}</p>\n{strip}</section>\n'


def _said(lines: Iterable[str]) -> str:
    return "".join(f"<blockquote>{_text(line)}</blockquote>\n" for line in lines)


def _title(scene: Scene, number: int) -> str:
    return f"{scene.label or 'background'} {number}"


def _times(item: Event | Scene) -> str:
    return f"{clock(item.start)} – {clock(item.end)}"


def _frames(item: Event | Scene) -> str:
    return f"frames {item.start_frame}–{item.end_frame}"


def _score(item: Event | Scene) -> str:
    return f'<span class="score" style="--score:{100 * item.score:.0f}%">{item.score:.2f}</span>'


def _chip(label: str, colors: dict[str, str]) -> str:
    return f'<b class="chip {colors[label]}">{_text(label or "-")}</b>'


def _color_classes(labelling: Labelling) -> dict[str, str]:
    labels = dict.fromkeys([*filter(None, labelling.labels), *(event.label for event in labelling.events)])
    return {label: f"c{k % _COLORS}" for k, label in enumerate(labels)}


def _text(text: str) -> str:
    return escape(text, quote=True)
