"""A model as a picture: its stages from the medium to the results, as an SVG for light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDE, HIGH, GAP, MARGIN = 290, 58, 30, 24  # pixels
FAN = 14  # more where an arrow goes to several heads
_STYLE = """
svg{font:13px system-ui,"Segoe UI",Roboto,Helvetica,Arial,sans-serif;color-scheme:light dark;background:#fff}
.box{fill:#f4f6f9;stroke:#8a97a8}.head{fill:#e8f1ec;stroke:#5d8a71}.end{fill:none;stroke:#8a97a8;stroke-dasharray:4 3}
.still{fill:#fbf0e6;stroke:#b07a45}.name{fill:#1b2430;font-weight:600}.fact{fill:#55616f;font-size:11.5px}
.line{stroke:#8a97a8;stroke-width:1.4;fill:none}.tip{fill:#8a97a8}.shape{fill:#55616f;font-size:11.5px}
@media(prefers-color-scheme:dark){svg{background:#14181d}.box{fill:#1f262e;stroke:#5f6d7d}.head{fill:#1d2a24;stroke:#5f9177}
.still{fill:#2d241b;stroke:#b98a5a}.name{fill:#e8edf2}.fact,.shape{fill:#a4b0bd}.line{stroke:#6c7a8a}.tip{fill:#6c7a8a}
.end{stroke:#6c7a8a}}
""".strip()


def diagram(facts: Mapping[str, Any], medium: str, results: str) -> str:
    """The SVG.

    Args:
        facts: what a model says of itself, with its `stages`.
        medium: name of its input; results: of what it writes.
    """
    stages: Sequence[Mapping[str, Any]] = facts["stages"]
    body = [stage for stage in stages if not stage["stage"].startswith("head ")]
    heads = [stage for stage in stages if stage["stage"].startswith("head ")]
    columns = max(1, len(heads))
    width = 2 * MARGIN + columns * WIDE + (columns - 1) * GAP
    middle = width / 2
    parts: list[str] = []
    y = MARGIN + 34
    parts.append(f'<text class="name" x="{middle}" y="{MARGIN + 6}" text-anchor="middle">{escape(facts["name"])}: '
                 f'{facts["parameters"]:,} parameters</text>')  # fmt: skip
    parts += _box(middle, y, "end", medium, "what goes in")
    y += HIGH
    shape = "T steps"
    for stage in body:
        parts += _arrow(middle, y, middle, y + GAP, shape)
        y += GAP
        parts += _box(middle, y, _class(stage), f"{stage['stage']}: {stage['kind']}", _facts(stage))
        y += HIGH
        shape = shape_of(stage)
    places = [MARGIN + WIDE / 2 + number * (WIDE + GAP) for number in range(columns)] if heads else []
    below = y + GAP + (FAN if columns > 1 else 0)
    for place, stage in zip(places, heads, strict=True):
        parts += _arrow(middle, y, place, below, shape if place == places[0] else "")
        parts += _box(place, below, _class(stage, "head"), f"{stage['stage']}: {stage['kind']}", _facts(stage))
        parts += _arrow(place, below + HIGH, place, below + GAP + HIGH, shape_of(stage))
        what = results if place == places[0] else "log-probabilities"
        parts += _box(place, below + GAP + HIGH, "end", what, "what comes out")
    height = (below + GAP + 2 * HIGH if heads else y) + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="the stages of {escape(facts["name"])}">\n'
        f"<style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def shape_of(stage: Mapping[str, Any]) -> str:
    """The shape of a stage's output: "T/640 x 192", T in steps of the medium."""
    return f"T/{stage['total']} x {stage['channels']}" if stage["total"] > 1 else f"T x {stage['channels']}"


def _facts(stage: Mapping[str, Any]) -> str:
    found = [f"{stage['parameters']:,} parameters"] if stage["parameters"] else []
    if stage["latency"]:
        found.append(f"{stage['latency']} steps ahead")
    if stage["chunk"] > stage["stride"]:
        found.append(f"chunks of {stage['chunk']}")
    if not stage["streams"]:
        found.append("needs the whole")
    return " · ".join(found) or "no parameters"


def _class(stage: Mapping[str, Any], usual: str = "box") -> str:
    return usual if stage["streams"] else "still"


def _box(x: float, y: float, kind: str, name: str, fact: str) -> list[str]:
    return [
        f'<rect class="{kind}" x="{x - WIDE / 2:g}" y="{y:g}" width="{WIDE}" height="{HIGH}" rx="8"/>',
        f'<text class="name" x="{x:g}" y="{y + 25:g}" text-anchor="middle">{escape(name)}</text>',
        f'<text class="fact" x="{x:g}" y="{y + 43:g}" text-anchor="middle">{escape(fact)}</text>',
    ]


def _arrow(x: float, y: float, to_x: float, to_y: float, label: str) -> list[str]:
    half = to_y - GAP / 2
    path = f"M{x:g} {y:g}V{half:g}H{to_x:g}V{to_y - 6:g}"
    tip = f"M{to_x:g} {to_y:g}l-4.5 -8h9z"
    # Where an arrow turns off, beside its beginning, which it shares with others.
    place = ((y + half) if x != to_x else (y + to_y)) / 2 + 5
    text = f'<text class="shape" x="{x + 10:g}" y="{place:g}">{escape(label)}</text>' if label else ""
    return [f'<path class="line" d="{path}"/>', f'<path class="tip" d="{tip}"/>', *([text] if text else [])]
