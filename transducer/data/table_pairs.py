"""The decoded items of a table and their labels as training examples, for any medium and any kind of labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from transducer.data.clips import DecodedClip, frame_labels
from transducer.data.item import Item
from transducer.data.pairs import Pair
from transducer.media.video.patches import Patches


class Augment(Protocol):
    """Changes to an example that leave its labels what they are."""

    def order(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """(T',) which of `count` labelled steps come one after the other."""

    def change(self, steps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Steps of the medium, (T, *shape) -> the same shape."""


class TablePairs:
    """A piece of a clip with labels or numbers of its steps, or a whole clip with its label, numbers or words.

    Args:
        clips: of one kind.
        numbers: label or word -> its number, from 1 on.
        window: labelled steps of a piece, at most; of clips with one label, the longest piece that is looked at. Words
            need the whole clip.
        augment: for training; None shows the clips as they are, cut into pieces that follow each other.
        widen: see `frame_labels`.
        encode: the tokens of an item's text; those of its words by `numbers` if None.
        patches: what frames are cut into at last, for words and wholes.
    """

    def __init__(
        self,
        clips: Sequence[DecodedClip],
        numbers: Mapping[str, int],
        window: int,
        augment: Augment | None = None,
        widen: int = 0,
        encode: Callable[[Item], Sequence[int]] | None = None,
        patches: Patches | None = None,
    ):
        self.clips, self.numbers, self.window, self.augment = clips, dict(numbers), window, augment
        self.patches = patches
        self._encode = encode or (lambda item: [self.numbers[word] for word in item.words])
        self.framewise = bool(clips) and clips[0].clip.kind in ("events", "labels", "values")
        self._labels = [
            frame_labels(clip.clip, self.numbers, clip.times, clip.fps, widen)
            if self.framewise
            else np.zeros(0, np.int64)
            for clip in clips
        ]
        self._pieces = [
            (number, start)
            for number, clip in enumerate(clips)
            for start in (range(0, len(clip), window) if self.framewise else [0])
        ]
        described = [
            (
                clip.clip.name,
                repr(clip.medium),
                list(clip.times),
                list(clip.clip.names),
                labels.tolist(),
                clip.clip.value,
            )
            for clip, labels in zip(clips, self._labels, strict=True)
        ]
        self.fingerprint = hashlib.sha256(
            repr((described, self.numbers, window, augment, widen, patches)).encode()
        ).hexdigest()

    def __len__(self) -> int:
        return len(self._pieces)

    @property
    def frames(self) -> int:
        """Labelled steps of all clips."""
        return sum(map(len, self.clips))

    def media(self) -> list[Path]:
        """The files of all clips."""
        return [clip.clip.path for clip in self.clips]

    def counts(self) -> np.ndarray:
        """(V,) how often each label occurs, the background first: of steps, or of clips."""
        if self.framewise:
            found = np.concatenate(self._labels)
        else:
            found = np.array([self.numbers[name] for clip in self.clips for name in clip.clip.names], np.int64)
        return np.bincount(found, minlength=len(self.numbers) + 1)

    def runs(self) -> dict[int, list[int]]:
        """Number of a label -> how many steps it lasts, each time that it occurs."""
        found: dict[int, list[int]] = {}
        for labels in self._labels if self.framewise else ():
            edges = np.flatnonzero(np.diff(labels)) + 1
            for piece in np.split(labels, edges):
                if piece[0]:
                    found.setdefault(int(piece[0]), []).append(len(piece))
        return found

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        """A piece of a clip; with `augment`, it begins somewhere near its place."""
        number, start = self._pieces[index]
        decoded, clip = self.clips[number], self.clips[number].clip
        shown = self._shown(len(decoded), start, rng)
        steps = decoded.inputs_of(shown)
        if self.augment:
            steps = self.augment.change(steps, rng)
        name = f"{clip.name} from {decoded.times[shown[0]]:.2f} s"
        x = steps.reshape(len(steps), -1) if self.patches is None else self.patches.cut(steps)
        if self.framewise:
            return Pair(x, self._labels[number][shown], name)
        if clip.value is not None:
            return Pair(x, np.array(clip.value, np.float32), name)
        if clip.label is not None:
            return Pair(x, self.numbers[clip.label], name)
        return Pair(x, list(self._encode(clip)), name)

    def _shown(self, count: int, start: int, rng: np.random.Generator) -> np.ndarray:
        """Which of a clip's labelled steps to show."""
        words = not self.framewise and self.clips[0].clip.kind == "text"
        if self.augment is None:
            return np.arange(start, count if words else min(count, start + self.window))
        order = self.augment.order(count, rng)
        if words or len(order) <= self.window:
            return order
        scale = len(order) / count
        place = round(start * scale + rng.uniform(-0.5, 0.5) * self.window) if self.framewise else rng.integers(1 << 30)
        room = len(order) - self.window + 1
        place = place % room if not self.framewise else min(max(place, 0), room - 1)
        return order[place : place + self.window]
