"""Sentences of the GRID corpus, as pictures of a mouth, as noisy sound, or both: examples for `lipreading`.

T frames of the video, 25 a second; 640 samples of sound, at 16 kHz, go with each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transducer.data.augment.waveform import add_noise, change_speed
from transducer.data.pairs import Pair
from transducer.data.table import read_table
from transducer.errors import MediaError, UsageError
from transducer.media.audio.reader import read_audio
from transducer.media.video.reader import open_video
from transducer.text.tokenizers.labels import Labels

RATE, SAMPLES = 16000, 640
MARGIN = 4  # pixels around the box, which training moves about in


@dataclass(frozen=True)
class Sentence:
    """A clip: its words, and the first and last frame (exclusive, may be fractions) of each."""

    path: Path
    words: tuple[str, ...]
    spans: tuple[tuple[float, float], ...]

    def labels(self, labels: Labels, frames: int) -> NDArray[np.int64]:
        """(T,) the word whose span the middle of a frame is in, 0 for none."""
        result = np.zeros(frames, np.int64)
        middles = np.arange(frames) + 0.5
        for word, (start, end) in zip(self.words, self.spans, strict=True):
            result[(middles >= start) & (middles < end)] = labels.id(word)
        return result


@dataclass(frozen=True)
class LipClip:
    """A sentence with pixels (T, H + 2 * MARGIN, W + 2 * MARGIN, 3) uint8 and samples (T * 640,) float32."""

    sentence: Sentence
    pixels: NDArray[np.uint8]
    samples: NDArray[np.float32]


def read_sentences(table: Path) -> list[Sentence]:
    """Rows of a table (TSV: path, words, start_frames, end_frames); paths are relative to its folder.

    Raises:
        UsageError: there is no such table, or a row of it makes no sense.
    """
    if not table.is_file():
        raise UsageError(f"{table}: no such file; --data must be the folder above video/{table.name}")
    found = read_table(table, needs="text", check_media=False)
    sentences = []
    for item in found.items:
        try:
            starts, ends = (tuple(map(float, item.extra[name].split())) for name in ("start_frames", "end_frames"))
            spans = tuple(zip(starts, ends, strict=True))
            if len(spans) != len(item.words):
                raise ValueError
        except (KeyError, ValueError, AttributeError):
            raise found.problem(item.line, "it needs path, words, and a start and an end for each") from None
        sentences.append(Sentence(item.path, item.words, spans))
    return sentences


def hold_out(sentences: Sequence[Sentence], *counts: int) -> list[list[Sentence]]:
    """So many sentences for each of `counts`, and the rest; which, hashes of the files' names decide."""
    order = sorted(
        sentences, key=lambda one: hashlib.sha256(f"1:{one.path.parent.name}/{one.path.name}".encode()).digest()
    )
    bounds = [0, *np.cumsum(counts).tolist(), len(order)]
    return [order[a:b] for a, b in pairwise(bounds)]


def load_clips(
    sentences: Sequence[Sentence], box: tuple[int, int, int, int], cache: Path, each: Callable[[], None] = lambda: None
) -> list[LipClip]:
    """Decode what the cache does not have yet; it is a file of pixels and one of samples for each clip.

    Args:
        box: top, left, bottom and right of what is seen, in pixels.
        each: is called after every clip.
    """
    top, left, bottom, right = box
    shape = (bottom - top + 2 * MARGIN, right - left + 2 * MARGIN, 3)
    cache.mkdir(parents=True, exist_ok=True)
    clips = []
    for sentence in sentences:
        key = hashlib.sha256(f"2 {sentence.path.resolve()} {box} {MARGIN}".encode()).hexdigest()[:16]
        file = cache / f"{sentence.path.stem}-{key}.npz"
        if not file.exists():
            with open_video(sentence.path) as video:
                if top < MARGIN or left < MARGIN or bottom + MARGIN > video.height or right + MARGIN > video.width:
                    raise MediaError(f"{video.name}: its {video.width}x{video.height} pixels have no room for the box")
                cut = slice(top - MARGIN, bottom + MARGIN), slice(left - MARGIN, right + MARGIN)
                pixels = np.stack([frame.image[cut] for frame in video])
            samples = read_audio(sentence.path, RATE)
            wanted = len(pixels) * SAMPLES
            samples = np.pad(samples[:wanted], (0, max(0, wanted - len(samples))))
            partial = file.with_suffix(".partial")
            with partial.open("wb") as out:
                np.savez(out, pixels=pixels, samples=(samples * 32767).round().astype(np.int16))
            partial.replace(file)
        with np.load(file) as stored:
            pixels, samples = stored["pixels"], stored["samples"].astype(np.float32) / 32767
        if pixels.shape[1:] != shape:
            raise UsageError(f"{file} is damaged: delete it")
        clips.append(LipClip(sentence, pixels, samples))
        each()
    return clips


@dataclass(frozen=True)
class Noises:
    """What drowns the words: sounds, and voices that babble together; at 16 kHz, each of any length."""

    sounds: tuple[NDArray[np.float32], ...]
    voices: tuple[NDArray[np.float32], ...]

    def draw(self, kind: str, length: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """(length,): a piece of a sound ("noise"), or of five to eight voices at once ("babble")."""
        if kind == "noise":
            return _piece(self.sounds[rng.integers(len(self.sounds))], length, rng)
        total = np.zeros(length, np.float32)
        for voice in rng.choice(len(self.voices), min(len(self.voices), int(rng.integers(5, 9))), replace=False):
            piece = _piece(self.voices[voice], length, rng)
            total += piece / max(1e-6, float(np.sqrt(np.mean(np.square(piece)))))
        return total


def read_noises(data: Path, tables: Sequence[tuple[str, str]], held_out: bool, most: int) -> Noises:
    """Up to `most` sounds and voices from the tables (TSV: path) of each, given as (kind, table).

    A fifth of each table, by hashes of the names, is for measuring and never for training.
    """
    found: dict[str, list[NDArray[np.float32]]] = {"sounds": [], "voices": []}
    for kind, name in tables:
        digest = {
            item.path: int(hashlib.sha256(item.name.encode()).hexdigest(), 16)
            for item in read_table(data / name, check_media=False).items
        }
        chosen = sorted((path for path in digest if (digest[path] % 5 == 0) == held_out), key=digest.__getitem__)
        for path in chosen[:most]:
            found[kind].append(read_audio(path, RATE)[: 12 * RATE])
    if not found["sounds"] or not found["voices"]:
        raise UsageError(f"{data}: there is nothing to make noise from")
    return Noises(tuple(found["sounds"]), tuple(found["voices"]))


@dataclass(frozen=True)
class LipClips:
    """Examples for training: frames, their sound, or both, with a label for each frame and the words in a row.

    Attributes:
        inputs: "picture", "sound" or "both".
        noises: to mix into the sound; None leaves it clean.
        snr: decibels, drawn between these for each example.
        kinds: of noise, drawn from.
        augment: move, mirror, relight and interrupt the picture, and change the speed of all; with both inputs, a
            quarter of the examples have no picture.
    """

    clips: tuple[LipClip, ...]
    labels: Labels
    inputs: str
    noises: Noises | None = None
    snr: tuple[float, float] = (-8.0, 15.0)
    kinds: tuple[str, ...] = ("babble", "noise")
    augment: bool = False

    @property
    def fingerprint(self) -> str:
        names = " ".join(clip.sentence.path.name for clip in self.clips)
        return f"{self.inputs} {self.snr} {hashlib.sha256(names.encode()).hexdigest()[:16]}"

    def at(self, kind: str, snr: float) -> LipClips:
        """The same in one kind of noise."""
        return replace(self, snr=(snr, snr), kinds=(kind,))

    def __len__(self) -> int:
        return len(self.clips)

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        clip = self.clips[index]
        count = len(clip.pixels)
        speed = rng.uniform(0.87, 1.15) if self.augment else 1.0
        shown = np.minimum((np.arange(round(count / speed)) + 0.5) * speed, count - 1).astype(int)
        labels = clip.sentence.labels(self.labels, count)[shown]
        words = [self.labels.id(word) for word in clip.sentence.words]
        parts = []
        if self.inputs != "sound":
            pixels = self._picture(clip.pixels, shown, rng)
            parts.append(pixels.reshape(len(shown), -1))
        if self.inputs != "picture":
            parts.append(self._sound(clip.samples, speed, len(shown) * SAMPLES, rng).reshape(len(shown), -1))
        x = parts[0] if len(parts) == 1 else np.concatenate([part.astype(np.float32) for part in parts], axis=1)
        if self.inputs == "sound":
            x = x.reshape(-1, 1)
        return Pair(x, {"words": words, "labels": labels}, clip.sentence.path.name)

    def _picture(self, pixels: NDArray[np.uint8], shown: NDArray, rng: np.random.Generator) -> NDArray[np.uint8]:
        height, width = pixels.shape[1] - 2 * MARGIN, pixels.shape[2] - 2 * MARGIN
        if not self.augment:
            return pixels[shown, MARGIN : MARGIN + height, MARGIN : MARGIN + width]
        y, x = rng.integers(0, 2 * MARGIN + 1, 2)
        for _ in range(rng.integers(0, 3)):  # the picture hangs
            first = int(rng.integers(1, len(shown) - 4))
            shown = shown.copy()
            shown[first : first + int(rng.integers(1, 4))] = shown[first - 1]
        seen = pixels[shown, y : y + height, x : x + width]
        if self.inputs == "both" and rng.random() < 0.25:
            return np.full_like(seen, 128)
        if rng.random() < 0.5:
            seen = seen[:, :, ::-1]
        contrast, light = rng.uniform(0.8, 1.25), rng.uniform(-20, 20) + rng.normal(0, 5, 3)
        values = np.arange(256)[:, None] * contrast + 127.5 * (1 - contrast) + light
        table = np.clip(values, 0, 255).astype(np.uint8)
        seen = np.stack([table[:, colour][seen[..., colour]] for colour in range(3)], axis=-1)
        for _ in range(rng.integers(0, 3)):  # something is in the way
            first = int(rng.integers(0, len(shown)))
            seen[first : first + int(rng.integers(1, 8))] = 128
        return seen

    def _sound(self, samples: NDArray, speed: float, length: int, rng: np.random.Generator) -> NDArray[np.float32]:
        samples = change_speed(samples, speed, RATE)
        samples = np.pad(samples[:length], (0, max(0, length - len(samples))))
        if self.noises is not None:
            noise = self.noises.draw(self.kinds[rng.integers(len(self.kinds))], length, rng)
            samples = add_noise(samples, noise, rng.uniform(*self.snr))
        if self.augment:
            samples = samples * 10 ** (rng.uniform(-10, 6) / 20)
        return samples.astype(np.float32)


def _piece(sound: NDArray[np.float32], length: int, rng: np.random.Generator) -> NDArray[np.float32]:
    start = int(rng.integers(max(1, len(sound) - length)))
    return np.resize(sound[start : start + length], length)
