"""A language of tones: every letter is a pitch, a space is silence. Small enough to learn in seconds."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

RATE = 16000
SECONDS = 0.2  # of a letter
PITCH = {"a": 400, "b": 700, "c": 1200, "d": 2100, "e": 3500}
TEXTS = ("abc de", "cab", "dead bee", "ace bad", "ebb add", "decade")


def tone(text: str) -> np.ndarray:
    """(T,) float32 samples of a text; letters fade in and out, so that equal neighbours can be told apart."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    fade = np.sin(np.pi * time / SECONDS) ** 0.5
    letters = [0.3 * fade * np.sin(2 * np.pi * PITCH[c] * time) if c in PITCH else 0 * time for c in f" {text} "]
    samples = np.concatenate(letters)
    return (samples + 0.001 * np.random.default_rng(0).standard_normal(len(samples))).astype(np.float32)


def write_tones(folder: Path, texts: tuple[str, ...] = TEXTS, table: str = "train.tsv") -> Path:
    """Recordings of the texts and their table."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["path\ttext"]
    for text in texts:
        name = f"{table.split('.')[0]}-{text.replace(' ', '_')}.wav"
        with wave.open(str(folder / name), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes((tone(text) * 32767).astype("<i2").tobytes())
        rows.append(f"{name}\t{text}")
    (folder / table).write_text("\n".join(rows) + "\n")
    return folder / table
