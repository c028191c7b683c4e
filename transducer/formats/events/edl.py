"""CMX 3600 edit decision lists, in the layout that editing programs share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from transducer.formats.events.edits import Edit, make_edits
from transducer.formats.events.timecode import TimecodeRate, timecode_rate
from transducer.results import Labelling

LONGEST_EFFECT = 255  # frames; CMX 3600 has no longer ones
REEL_LENGTH = 8
# How an effect is written, and what it is called. A fade is a dissolve in its place: of a fade, CMX 3600 knows only
# the halves, to and from a black reel.
_EFFECTS = {"dissolve": ("D", "CROSS DISSOLVE"), "fade": ("D", "FADE"), "wipe": ("W001", "WIPE")}


def render_edl(labelling: Labelling) -> Iterator[str]:
    """One event a scene; timecodes of source and record are the same.

    They begin with the labelling's `start_timecode`, or at 0.

    Gradual transitions of up to 255 frames are written as dissolves and wipes, longer ones and those of other names
    as cuts in their middle.
    """
    rate = timecode_rate(labelling.fps, labelling.start_timecode)
    name = _one_line(PurePath(labelling.source).name or labelling.source)
    reel = _reel(labelling.source)
    yield f"TITLE: {_one_line(PurePath(labelling.source).stem)[:70]}\n"
    yield f"FCM: {'DROP FRAME' if rate.drop else 'NON-DROP FRAME'}\n\n"
    edits = make_edits(labelling, rate.fps, rate.native)
    number = 0
    for k, edit in enumerate(edits):
        # Frames that are mixed go with what follows them, under the effect.
        following = edits[k + 1] if k + 1 < len(edits) else None
        start = _start(edit)
        end = edit.end if following is None else _start(following)
        if end <= start:
            continue
        number += 1
        effect = _effect(edit) if number > 1 else None
        if effect is not None:
            yield _row(number, reel, "C", 0, start, start, rate)
        length = edit.effect.length if effect and edit.effect else 0
        yield _row(number, reel, effect[0] if effect else "C", length, start, end, rate)
        yield from _comments(edit, name, effect)
        if number == 1 and not rate.native:
            yield f"* COMMENT: TIMECODES COUNT {rate.nominal} FRAMES A SECOND, THE VIDEO HAS {labelling.fps:g}\n"


def _row(number: int, reel: str, kind: str, length: int, start: int, end: int, rate: TimecodeRate) -> str:
    times = f"{rate.timecode(start)} {rate.timecode(end)}"
    return (
        f"{number:03d}  {reel:<{REEL_LENGTH}} V     {kind:<4} {f'{length:03d}' if length else '':3} {times} {times}\n"
    )


def _start(edit: Edit) -> int:
    if edit.effect is None:
        return edit.start
    return edit.effect.start if _effect(edit) else edit.effect.middle


def _effect(edit: Edit) -> tuple[str, str] | None:
    effect = edit.effect
    if effect is None or effect.event is None or not 0 < effect.length <= LONGEST_EFFECT:
        return None
    return _EFFECTS.get(effect.event.label)


def _comments(edit: Edit, name: str, effect: tuple[str, str] | None) -> Iterator[str]:
    if effect is not None:
        yield f"* EFFECT NAME: {effect[1]}\n"
    yield f"* FROM CLIP NAME: {name}\n"
    if effect is not None:
        yield f"* TO CLIP NAME: {name}\n"
    scene, event = edit.scene, edit.effect.event if edit.effect else None
    if event is not None:
        where = f"frames {event.start_frame} to {event.end_frame}"
        yield f"* COMMENT: {_one_line(event.label)}, {where}, score {event.score:.2f}\n"
    elif scene.label not in ("", "shot"):
        yield f"* COMMENT: {_one_line(scene.label)}, score {scene.score:.2f}\n"


def _reel(source: str) -> str:
    """Up to eight capitals and digits of the name; AX, as for what comes from no reel, without any."""
    return re.sub(r"[^A-Z0-9]", "", PurePath(source).stem.upper())[:REEL_LENGTH] or "AX"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
