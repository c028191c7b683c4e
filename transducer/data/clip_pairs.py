"""Clips and their labels as examples for `transducer.training.pairs`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from transducer.data.augment.clips import ClipAugment
from transducer.data.clips import DecodedClip, frame_labels
from transducer.training.pairs import Pair


class ClipPairs:
    """Decoded clips: a piece of a clip with labels of its frames, or a whole clip with its label or its words.

    Args:
        clips: of one kind.
        numbers: label or word -> its number, from 1 on.
        window: frames of a piece, at most; of clips with one label, the longest piece that is looked at. Words need
            the whole clip.
        augment: for training; None shows the clips as they are, cut into pieces that follow each other.
        widen: see `frame_labels`.
    """

    def __init__(
        self,
        clips: Sequence[DecodedClip],
        numbers: Mapping[str, int],
        window: int,
        augment: ClipAugment | None = None,
        widen: int = 0,
    ):
        self.clips, self.numbers, self.window, self.augment = clips, dict(numbers), window, augment
        self.framewise = bool(clips) and clips[0].clip.kind in ("events", "labels")
        self._labels = [
            frame_labels(clip.clip, self.numbers, clip.times, clip.fps, widen) if self.framewise else None
            for clip in clips
        ]
        self._pieces = [
            (number, start)
            for number, clip in enumerate(clips)
            for start in (range(0, len(clip), window) if self.framewise else [0])
        ]
        described = [
            (clip.clip.name, clip.size, clip.times, list(clip.clip.names) if labels is None else labels.tolist())
            for clip, labels in zip(clips, self._labels, strict=True)
        ]
        self.fingerprint = hashlib.sha256(repr((described, self.numbers, window, augment, widen)).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._pieces)

    @property
    def frames(self) -> int:
        """Of all clips."""
        return sum(map(len, self.clips))

    def counts(self) -> np.ndarray:
        """(V,) how often each label occurs, the background first: of frames, or of clips."""
        if self.framewise:
            found = np.concatenate(self._labels)
        else:
            found = [self.numbers[name] for clip in self.clips for name in clip.clip.names]
        return np.bincount(found, minlength=len(self.numbers) + 1)

    def runs(self) -> dict[int, list[int]]:
        """Number of a label -> how many frames it lasts, each time that it occurs."""
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
        pixels = decoded.frames()[shown]
        if self.augment:
            pixels = self.augment.pixels(pixels, rng)
        name = f"{clip.name} from frame {shown[0]}"
        x = pixels.reshape(len(shown), -1)
        if self.framewise:
            return Pair(x, self._labels[number][shown], name)
        if clip.label is not None:
            return Pair(x, self.numbers[clip.label], name)
        return Pair(x, [self.numbers[word] for word in clip.words], name)

    def _shown(self, count: int, start: int, rng: np.random.Generator) -> np.ndarray:
        """Which of a clip's frames to show."""
        words = not self.framewise and self.clips[0].clip.kind == "text"
        if self.augment is None:
            return np.arange(start, count if words else min(count, start + self.window))
        order = self.augment.frames(count, rng)
        if words or len(order) <= self.window:
            return order
        scale = len(order) / count
        place = round(start * scale + rng.uniform(-0.5, 0.5) * self.window) if self.framewise else rng.integers(1 << 30)
        room = len(order) - self.window + 1
        place = place % room if not self.framewise else min(max(place, 0), room - 1)
        return order[place : place + self.window]
