"""Words that a speech model hears where nobody speaks.

    python bench/no_speech.py [NOISE.tsv] [--fold 5] [--minutes 30] [--model speech-en] [--search beam] [--json]

NOISE.tsv has the columns `path` and `label`; of file names that begin with ESC's fold number ("5-187957-E.opus"), only
those of `--fold` are taken, which training is meant to have left out as sound without speech. Without a table, only
made sounds are tried: silence, hums, white and brown noise, and music (notes, chords and drums drawn at random).
Each kind of sound is one long stream, the clips looped up to its share of the minutes.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

import transducer
from transducer.data.table import read_table
from transducer.media import read_audio

RATE = 16000


def music(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Decaying harmonic notes over a bass, with a beat of filtered noise."""
    out = np.zeros(int(seconds * RATE))
    beat = int(RATE * rng.uniform(0.2, 0.5))
    root = rng.uniform(80, 160)
    times = np.arange(2 * beat) / RATE
    for start in range(0, len(out) - 2 * beat, beat):
        notes = [root * 2 ** (step / 12) for step in rng.choice([0, 3, 5, 7, 10, 12, 15, 19, 24], 3)]
        sound = sum(
            np.exp(-times * 3) * np.sin(2 * np.pi * note * harmonic * times) / harmonic**1.5
            for note in notes
            for harmonic in range(1, 6)
        )
        sound += np.exp(-times * 25) * np.diff(rng.standard_normal(len(times) + 1))
        out[start : start + 2 * beat] += sound
    return 0.2 * out / max(1.0, np.abs(out).max())


def made_sounds(seconds: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Silence, hum, white and brown noise, music; float samples."""
    count = int(seconds * RATE)
    white = rng.standard_normal(count)
    brown = np.cumsum(white)
    brown -= np.linspace(brown[0], brown[-1], count)
    hum = sum(np.sin(2 * np.pi * 50 * k * np.arange(count) / RATE) / k for k in range(1, 8))
    return {
        "silence": np.zeros(count),
        "hum": 0.1 * hum + 0.001 * white,
        "white noise": 0.05 * white,
        "brown noise": 0.3 * brown / np.abs(brown).max(),
        "music": np.concatenate([music(seconds / 6, rng) for _ in range(6)]),
    }


def recorded_sounds(table: Path, fold: int, seconds: float) -> dict[str, np.ndarray]:
    """The clips of each label, one after the other, looped or cut to so many seconds."""
    clips = defaultdict(list)
    for row in read_table(table, needs="label").items:
        if row.path.name.startswith(f"{fold}-"):
            clips[row.label].append(row.path)
    return {
        label: np.resize(np.concatenate([read_audio(path, RATE) for path in paths]), int(seconds * RATE))
        for label, paths in clips.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", type=Path)
    parser.add_argument("--fold", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--model", default="speech-en")
    parser.add_argument("--search", default=None)
    parser.add_argument("--second-pass", help="a model that writes finals; none for none; the model's own if not given")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, rng = transducer.load(options.model), np.random.default_rng(0)
    sounds = made_sounds(60.0, rng)
    kinds = recorded_sounds(options.table, options.fold, 60.0) if options.table else {}
    seconds = 60 * options.minutes / (len(sounds) + len(kinds))
    sounds = {**sounds, **kinds}
    words = {}
    for kind, sound in track(sounds.items(), console=Console(stderr=True), description="listening"):
        samples = np.resize(sound, int(seconds * RATE)).astype(np.float32)
        packets = (samples[start : start + RATE] for start in range(0, len(samples), RATE))
        words[kind] = [
            word.text
            for word in model.transcribe(packets, search=options.search, second_pass=options.second_pass).words
        ]
    per_minute = {kind: len(heard) * 60 / seconds for kind, heard in words.items()}
    total = sum(map(len, words.values())) / options.minutes
    if options.json:
        print(json.dumps({"words_per_minute": total, "by_kind": per_minute, "words": words}))
        return
    table = Table("sound", "words a minute", "such as", title=f"{options.minutes:g} minutes without speech")
    for kind, rate in per_minute.items():
        table.add_row(kind, f"{rate:.2f}", " ".join(words[kind][:6]))
    table.add_row("all", f"{total:.2f}", "")
    Console().print(table)


if __name__ == "__main__":
    main()
