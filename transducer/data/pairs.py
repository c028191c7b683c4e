"""Training examples: whoever brings sequences x and what is to be said of them, y, gets a model.

Legend of axis suffixes: T steps, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from transducer.errors import UsageError

NO_LABEL = -1  # of steps, or examples, that nothing is learned from

Target = np.ndarray | int | Sequence[int]


@dataclass(frozen=True)
class Pair:
    """One example.

    Attributes:
        x: (T, C) uint8 or float32, what the model's front-end takes: of frames, H * W * 3.
        y: a label for each step, (T,) int with `NO_LABEL` where none is known; or one label, an int; or tokens, a
            list; or numbers, (T, V) float of each step or (V,) of the whole, NaN where one is not known. Several heads
            that want different things take name of head -> one of these; a head that is not among them learns nothing
            from this pair.
        id: for messages.
    """

    x: np.ndarray
    y: Target | Mapping[str, Target]
    id: str = ""

    def target(self, head: str) -> Target | None:
        """What this head is to say; None if that is not known."""
        return self.y.get(head) if isinstance(self.y, Mapping) else self.y


class PairSource(Protocol):
    """Examples by number. What follows the two methods is optional; the functions below read it.

    Attributes:
        lengths: (N,) steps of each example, so that batches can be planned by length. Or (N, V), where every example
            comes in V variants, of which each epoch takes one: `pair` is then asked for number * V + variant.
        enters: "frontend", where x goes if nothing is said; or "encoder": x are features as the front-end makes
            them, before it normalises them.
        fingerprint: tells one data set from another when a run is resumed.
    """

    def __len__(self) -> int: ...

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        """Example `index`, from 0. A function of its arguments alone; `rng` is for augmentation."""
        ...


@runtime_checkable
class Prepared(Protocol):
    """A source that has something to do before its first example, such as to decode its recordings."""

    def prepare(self, cache: Path, progress: bool = True) -> None:
        """Called once at the beginning of a run, by every process.

        Args:
            cache: a folder for what is kept from run to run. progress: whether to show how far it is.
        """
        ...


@runtime_checkable
class Measured(Protocol):
    """A source that knows the statistics of its features."""

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each channel, (C,) each, for the front-end to normalise with."""
        ...


@runtime_checkable
class Described(Protocol):
    """A source that says for a model's card what it is."""

    def describe(self) -> list[dict[str, Any]]:
        """What the data is: name, licence and amount of each part."""
        ...


@runtime_checkable
class FromFiles(Protocol):
    """A source whose examples come from recordings or clips."""

    def media(self) -> Sequence[Path]:
        """Their files."""
        ...


def fixed_pair(source: PairSource, index: int) -> Pair:
    """Example `index` as it is evaluated: always with the same random numbers."""
    return source.pair(index, np.random.default_rng(np.random.SeedSequence(0, spawn_key=(index,))))


def enters(source: PairSource) -> str:
    """Where the examples of a source enter a network, "frontend" or "encoder"."""
    where = getattr(source, "enters", "frontend")
    if where not in ("frontend", "encoder"):
        raise UsageError(f"a source of pairs enters at {where!r}: it must be 'frontend' or 'encoder'")
    return where


def fingerprint(source: PairSource) -> Any:
    """What tells a source from another: what it says itself, or else how many examples it has."""
    return getattr(source, "fingerprint", None) or len(source)


def check_apart(dev: PairSource | None, train: Sequence[PairSource]) -> None:
    """Raises UsageError where a file is in what is measured and in what is trained on, as far as sources know it."""
    if not isinstance(dev, FromFiles):
        return
    held = {path.resolve() for path in dev.media()}
    for source in train:
        if isinstance(source, FromFiles) and (both := held & {path.resolve() for path in source.media()}):
            raise UsageError(f"{min(both)} is held out and trained on as well: it would measure nothing")


def check_pair(pair: Pair) -> Pair:
    """The pair. Raises UsageError where it is none, or its x no sequence that a network takes."""
    if not isinstance(pair, Pair):
        raise UsageError(f"a source of pairs gave {type(pair).__name__}, not a Pair")
    x = pair.x
    if not isinstance(x, np.ndarray) or x.ndim != 2 or not len(x) or x.dtype not in (np.uint8, np.float32):
        found = f"{x.shape} {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
        raise UsageError(f"pair {pair.id!r}: x must be (T, C), uint8 or float32, T at least 1; it is {found}")
    return pair
