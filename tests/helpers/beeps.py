"""A task of sound from a table: beeps, high and low, in noise."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np

RATE = 16000
PITCH = {"low": 500, "high": 2500}


def write_beeps(folder: Path, kind: str, count: int, hop: int = 640, seed: int = 0) -> Path:
    """Sounds of one to two seconds, and their table of events, labels, label or text; labels are those of `hop`s."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        samples = 0.003 * rng.standard_normal(int(rng.integers(RATE, 2 * RATE)))
        one, events, place = str(rng.choice(list(PITCH))), [], int(rng.integers(2000, 5000))
        while place < len(samples) - 6000:
            name, length = one if kind == "label" else str(rng.choice(list(PITCH))), int(rng.integers(2500, 5000))
            samples[place : place + length] += 0.2 * np.sin(2 * np.pi * PITCH[name] * np.arange(length) / RATE)
            events.append((name, place, place + length))
            place += length + int(rng.integers(3000, 5000))
        path = folder / f"beeps-{seed}-{number}.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes((samples * 32767).astype("<i2").tobytes())
        middles = np.arange(0, len(samples), hop) + hop // 2
        steps = ["".join(name for name, start, end in events if start <= middle < end) for middle in middles]
        values = {
            "events": [{"label": name, "start": start / RATE, "end": end / RATE} for name, start, end in events],
            "labels": steps,
            "label": one,
            "text": " ".join(name for name, _, _ in events),
        }
        rows.append({"path": path.name, kind: values[kind]})
    table = folder / f"{kind}-{seed}.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return table
