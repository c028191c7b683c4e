"""What is taken for what: counts, and a picture of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from transducer.atomic import atomic_write
from transducer.evaluation.events import known_frames


def confusion_matrix(truths: Sequence[ArrayLike], guesses: Sequence[ArrayLike], labels: int) -> NDArray[np.int64]:
    """(V, V): how many frames, or clips, of the row's label were given the column's; those of label -1 are left out.

    Args:
        truths, guesses: (T,) whole numbers below V for each video.
        labels: V.

    Raises:
        ValueError: a pair of different lengths, or a number that is no label.
    """
    counts = np.zeros((labels, labels), np.int64)
    for truth, guess in zip(truths, guesses, strict=True):
        wanted, found = known_frames(truth, guess)
        for row in (wanted, found):
            if len(row) and not 0 <= row.min() <= row.max() < labels:
                raise ValueError(f"labels must be 0 to {labels - 1}, found {row.min()} to {row.max()}")
        np.add.at(counts, (wanted.astype(np.int64), found.astype(np.int64)), 1)
    return counts


def write_confusion_matrix(
    counts: NDArray[np.int64], labels: Sequence[str], path: str | os.PathLike[str], title: str = ""
) -> None:
    """Draw a matrix as a PNG: shades and percent of each row, with the counts below.

    Args:
        counts: (V, V), see `confusion_matrix`.
        labels: V names; "" is shown as "background".

    Raises:
        OSError: the file cannot be written; nothing is left of it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [label or "background" for label in labels]
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    side = 2.0 + 0.8 * len(names)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("found")
    axes.set_ylabel("true")
    axes.set_title(title)
    for row, column in np.argwhere(counts > 0).tolist():
        dark = shares[row, column] > 0.5
        text = f"{100 * shares[row, column]:.0f} %\n{counts[row, column]}"
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the row")
    with atomic_write(path, "wb") as file:
        FigureCanvasAgg(figure).print_png(file)
