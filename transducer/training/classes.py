"""The classes that a run is about to learn: told before it, weighed by how rare they are, and made events of."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from transducer.data.table import Table
from transducer.search.events.rules import EventRules
from transducer.training.progress import say

_MOST = 60  # classes that are listed


def tell_classes(table: Table, warn: Callable[[str], None]) -> None:
    """Says how often each label occurs in a table, and warns of what looks like a mistake in it."""
    if int(os.environ.get("RANK", "0")):
        return  # the first of torchrun's processes talks
    counts = table.counts() if table.kind != "text" else {}
    listed = [f"{name} ({count})" for name, count in list(counts.items())[:_MOST]]
    if listed:
        more = f" and {len(counts) - _MOST} more" if len(counts) > _MOST else ""
        say(f"to learn: {', '.join(listed)}{more}")
    for line in (*table.warnings, *table.rare_labels()):
        warn(line)


def label_weights(counts: NDArray[np.int64]) -> list[float]:
    """Weights of labels by how often each occurs: rare ones count for more, by the root of how rare they are."""
    share = np.maximum(counts, 1) / max(1, counts.sum())
    known = counts > 0
    weights = np.where(known, share**-0.5, 1.0)
    weights /= (weights * share)[known].sum()  # so that the loss is as large as without
    return [round(float(weight), 4) for weight in np.clip(weights, 0.2, 10)]


def event_rules(kind: str, moments: bool, runs: Mapping[int, Sequence[int]], names: Sequence[str]) -> EventRules:
    """How events are made of probabilities, see `transducer.search.events.rules`.

    Args:
        kind: of the items: "events", "labels", "label" or "text"; moments: whether all events are.
        runs: number of a label -> how many steps it lasts, each time that it occurs.
        names: of the labels, the background first.
    """
    if kind == "label":
        return EventRules("clip")
    if kind == "text":
        return EventRules("sequence")
    if moments:
        return EventRules("peaks", high=0.4, window=10)
    shortest = {names[number]: max(1, int(0.4 * np.percentile(lengths, 10))) for number, lengths in runs.items()}
    if kind == "labels":
        return EventRules("dense", min_frames=shortest)
    return EventRules("spans", high=0.5, low=0.3, merge=2, min_frames=shortest)
