"""Sound without speech: recorded noise, and music that is made here."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transducer.atomic import atomic_write
from transducer.data.recordings import Dataset
from transducer.data.table import read_table

RATE = 16000
HELD_OUT = "5-"  # ESC-10's fifth fold: its file names begin with the fold
HARMONICS = {
    "sine": (1.0,),
    "organ": (1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.1, 0.05),
    "saw": tuple(1 / n for n in range(1, 9)),
    "pluck": tuple(n**-1.5 for n in range(1, 9)),
}
SCALE = (0, 2, 4, 5, 7, 9, 11, 12, 14, 16)  # half tones over the root


def silence(noise: Path, most: int | None, clips: int, folder: Path, seed: int = 7) -> Dataset:
    """A table of the noise clips, `most` at most and none of the held-out fold, and of so many clips of made music."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [row.path for row in read_table(noise).items if not row.path.name.startswith(HELD_OUT)]
    paths = paths if most is None else paths[:: max(1, len(paths) // most)]
    rng = np.random.default_rng(seed)
    for number in range(clips):
        path = folder / f"music-{number:03d}.wav"
        write_wav(path, music(5.0, rng, drums=number % 2 == 1))
        paths.append(path)
    table = folder / "silence.tsv"
    with atomic_write(table) as file:
        file.write("path\n" + "".join(f"{path.resolve()}\n" for path in paths))
    return Dataset(table, "ESC-10, backgrounds of Speech Commands, made music", "CC BY 3.0, CC BY 4.0")


def write_wav(path: Path, samples: NDArray[np.float64]) -> None:
    """16 bits, mono."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def music(seconds: float, rng: np.random.Generator, drums: bool) -> NDArray[np.float64]:
    """Chords and melodies drawn at random, in one of four timbres; samples in [-1, 1]."""
    out = np.zeros(int(seconds * RATE))
    timbre = str(rng.choice(list(HARMONICS)))
    beat, root = int(RATE * rng.uniform(0.15, 0.6)), rng.uniform(70, 400)
    for start in range(0, len(out) - beat, beat):
        if rng.random() < 0.85:
            for step in rng.choice(SCALE, int(rng.integers(1, 4))):
                length = min(len(out) - start, int(beat * rng.uniform(0.8, 2)))
                out[start : start + length] += note(root * 2 ** (step / 12), length, timbre, rng)
        if drums and rng.random() < 0.6:
            length = min(len(out) - start, 2000)
            out[start : start + length] += 3 * rng.standard_normal(length) * np.exp(-np.arange(length) / 300)
    level = 0.8 * 10 ** (rng.uniform(-20, 0) / 20)
    return out * level / max(np.abs(out).max(), 1e-9)


def note(hertz: float, length: int, timbre: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Slightly out of tune harmonics below the Nyquist frequency, fading in and out."""
    times = np.arange(length) / RATE
    sound = np.zeros(length)
    for number, loudness in enumerate(HARMONICS[timbre], 1):
        if hertz * number < 7800:
            detuned = hertz * number * (1 + 1e-3 * rng.standard_normal())
            sound += loudness * np.sin(2 * np.pi * detuned * times + rng.uniform(0, 2 * np.pi))
    fade_in = np.minimum(1, times / 0.01)
    fade_out = np.exp(-times * rng.uniform(2, 8)) if timbre == "pluck" else np.minimum(1, times[::-1] / 0.05)
    return sound * fade_in * fade_out
