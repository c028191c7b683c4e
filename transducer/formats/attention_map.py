"""Attention of a decoder as a picture: which steps each token was written from.

Legend of axis suffixes: L layers, H heads, U tokens, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transducer.atomic import atomic_write
from transducer.errors import UsageError

_MOST_LABELS = 60  # on an axis


def draw_attention(
    path: Path,
    weights: NDArray[np.float32],
    tokens: Sequence[str],
    steps: Sequence[str] = (),
    title: str = "",
    each: bool = False,
) -> None:
    """Write a PNG, tokens down and steps across.

    Args:
        weights: (L, H, U, T), as `Attended.weights`.
        tokens: U spellings. steps: T names of what is attended to; their numbers if empty.
        each: a panel for each layer and head; else one with their mean.

    Raises:
        UsageError: the names are not as many as there are tokens or steps.
    """
    from matplotlib.figure import Figure

    layers, heads, count, width = weights.shape
    if len(tokens) != count or (steps and len(steps) != width):
        raise UsageError(f"a map of {count} tokens and {width} steps, with {len(tokens)} and {len(steps)} names")
    rows, columns = (layers, heads) if each else (1, 1)
    across, down = (float(np.clip(size * 0.22 + 1.2, 2.5, limit)) for size, limit in ((width, 14), (count, 10)))
    figure = Figure(figsize=(across * columns, down * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for row in range(rows):
        for column in range(columns):
            axes = panels[row, column]
            shown = weights[row, column] if each else weights.mean(axis=(0, 1))
            axes.imshow(shown, aspect="auto", cmap="magma", vmin=0, vmax=max(float(shown.max()), 1e-6))
            if each:
                axes.set_title(f"layer {row + 1}, head {column + 1}", fontsize=9)
            _name(axes.yaxis, tokens)
            if steps:
                _name(axes.xaxis, steps)
    if title:
        figure.suptitle(title, fontsize=11)
    with atomic_write(path, "wb") as file:
        figure.savefig(file, dpi=120, format="png")


def _name(axis: object, names: Sequence[str]) -> None:
    every = -(-len(names) // _MOST_LABELS)
    shown = range(0, len(names), every)
    axis.set_ticks(list(shown), [names[place] for place in shown], fontsize=8)  # type: ignore[attr-defined]
