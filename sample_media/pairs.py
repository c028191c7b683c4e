"""Small sets of pairs (x, y) of every kind, made from a seed: what docs/any-pairs.md trains on.

    python -m sample_media.pairs FOLDER

makes in FOLDER: tags.jsonl (words and a tag for each), intents.csv (sentences and intents), digits.jsonl (numbers
and how they are read; digits-test.jsonl has others), walks.jsonl (accelerations and what somebody does at each time),
shapes/ (pictures) and beeps/ (sounds), the last two with a folder for each class.
"""

from __future__ import annotations

import argparse
import csv
import json
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

NOUNS, VERBS, ADJECTIVES = ("dog", "cat", "bird", "horse"), ("sees", "hears", "follows"), ("big", "small", "old")
ROOMS, MUSIC = ("kitchen", "hall", "cellar", "garden", "attic"), ("jazz", "polka", "opera", "blues", "techno")
INTENTS = {
    "light_on": ("turn on the light in the {room}", "lights on in the {room}", "it is too dark in the {room}"),
    "light_off": ("turn off the light in the {room}", "make it dark in the {room}"),
    "music": ("play some {music} in the {room}", "i would like to hear {music}"),
}
READ = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DOINGS = {"rest": 0.1, "walk": 1.0, "run": 3.0}  # and how strong the steps are
SHAPES, SIDE = ("circle", "square", "cross"), 24
BEEPS = {"low": 300, "middle": 900, "high": 2700}  # hertz
RATE = 16000


def make(folder: Path, count: int = 300, seed: int = 0) -> None:
    """Write all sets, of so many pairs each; a third of that of files."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    _lines(folder / "tags.jsonl", [_tagged(rng) for _ in range(count)])
    with open(folder / "intents.csv", "w", newline="") as file:
        csv.writer(file).writerows([("sentence", "intent"), *(_intent(rng) for _ in range(count))])
    read = [{"x": str(n), "y": " ".join(READ[int(c)] for c in str(n))} for n in rng.permutation(9999)]
    _lines(folder / "digits.jsonl", read[: 3 * count])
    _lines(folder / "digits-test.jsonl", read[-count // 6 :])
    _lines(folder / "walks.jsonl", [_walk(rng) for _ in range(count)])
    for number in range(count // 3):
        _picture(folder / "shapes", SHAPES[number % 3], number, rng)
        _sound(folder / "beeps", list(BEEPS)[number % 3], number, rng)
    _lines(folder / "averages.jsonl", [_average(rng) for _ in range(count)])


def _lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _tagged(rng: np.random.Generator) -> dict[str, Any]:
    found: list[tuple[str, str]] = []
    for part in ("subject", "verb", "object"):
        if part == "verb":
            found.append((str(rng.choice(VERBS)), "VERB"))
            continue
        found.append((str(rng.choice(["the", "a"])), "DET"))
        found += [(str(word), "ADJ") for word in rng.choice(ADJECTIVES, rng.integers(0, 3), replace=False)]
        found.append((str(rng.choice(NOUNS)), "NOUN"))
    return {"x": " ".join(word for word, _ in found), "y": [tag for _, tag in found]}


def _intent(rng: np.random.Generator) -> tuple[str, str]:
    intent = str(rng.choice(list(INTENTS)))
    sentence = str(rng.choice(INTENTS[intent]))
    return sentence.format(room=rng.choice(ROOMS), music=rng.choice(MUSIC)), intent


def _walk(rng: np.random.Generator) -> dict[str, Any]:
    """Accelerations in two directions, and what is done at each time."""
    x: list[list[float]] = []
    y: list[str] = []
    for doing in rng.permutation(list(DOINGS))[: rng.integers(1, 4)]:
        for _ in range(rng.integers(6, 15)):
            strength = DOINGS[doing]
            x.append([round(float(v), 2) for v in (rng.normal(0, strength), 9.8 + rng.normal(0, 0.5 * strength))])
            y.append(str(doing))
    return {"x": x, "y": y}


def _average(rng: np.random.Generator) -> dict[str, Any]:
    """A noisy level, and at each time the mean of what was measured last, three times at most."""
    x = (50 + rng.normal(0, 5) + rng.normal(0, 2, rng.integers(15, 30))).round(2)
    return {"x": x.tolist(), "y": [round(float(x[max(0, t - 2) : t + 1].mean()), 3) for t in range(len(x))]}


def _picture(folder: Path, shape: str, number: int, rng: np.random.Generator) -> None:
    import cv2

    image = np.full((SIDE, SIDE, 3), rng.integers(0, 90), np.uint8)
    colour = tuple(int(value) for value in rng.integers(140, 255, 3))
    x, y = (int(value) for value in rng.integers(9, SIDE - 9, 2))
    size = int(rng.integers(5, 8))
    if shape == "circle":
        cv2.circle(image, (x, y), size, colour, -1)
    elif shape == "square":
        cv2.rectangle(image, (x - size, y - size), (x + size, y + size), colour, -1)
    else:
        cv2.line(image, (x - size, y), (x + size, y), colour, 3)
        cv2.line(image, (x, y - size), (x, y + size), colour, 3)
    (folder / shape).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / shape / f"{number:03d}.png"), image)


def _sound(folder: Path, name: str, number: int, rng: np.random.Generator) -> None:
    time = np.arange(int(RATE * rng.uniform(0.3, 0.6))) / RATE
    tone = np.sin(2 * np.pi * BEEPS[name] * rng.uniform(0.9, 1.1) * time) * rng.uniform(0.1, 0.5)
    samples = np.clip(tone + rng.normal(0, 0.03, len(time)), -1, 1)
    (folder / name).mkdir(parents=True, exist_ok=True)
    with wave.open(str(folder / name / f"{number:03d}.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    make(parser.parse_args().folder)


if __name__ == "__main__":
    main()
