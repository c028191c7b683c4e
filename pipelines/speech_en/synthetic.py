"""Synthetic speech as training data: novels read by espeak-ng and flite, in many voices, rates and pitches.

    python -m pipelines.speech_en.synthetic DATA OUTPUT [--hours 2]

Writes recordings and OUTPUT/synthetic.tsv. Needs the programs espeak-ng and flite (on Debian: apt install espeak-ng
flite). The same versions of them give the same recordings.
"""

from __future__ import annotations

import argparse
import lzma
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from pipelines.speech_en.word_text import normalise
from transducer.atomic import atomic_write
from transducer.data.recordings import Dataset
from transducer.errors import UsageError
from transducer.media import read_audio

FLITE = ("kal", "kal16", "awb", "rms", "slt")
ESPEAK = ("en-us", "en-gb", "en-gb-scotland", "en-029", "en-gb-x-rp")
ESPEAK_SPEAKERS = ("", "+m1", "+m3", "+m5", "+m7", "+f1", "+f2", "+f3", "+f5")
SHORTEST, LONGEST = 5, 30  # words
SECONDS_A_WORD = 0.4


def synthetic(data: Path, folder: Path, hours: float, seed: int = 1) -> Dataset:
    """A table of about so many hours of synthetic speech in `folder`, made where it is not there yet.

    Raises:
        UsageError: a program is missing.
    """
    table = folder / "synthetic.tsv"
    if not table.exists():
        if missing := [program for program in ("espeak-ng", "flite") if not shutil.which(program)]:
            raise UsageError(f"synthetic speech needs {' and '.join(missing)}: on Debian, apt install espeak-ng flite")
        folder.mkdir(parents=True, exist_ok=True)
        rng, jobs = np.random.default_rng(seed), []
        for number, words in enumerate(_sentences(data, rng, round(hours * 3600 / SECONDS_A_WORD))):
            path = folder / f"{number:05d}.wav"
            jobs.append((path, " ".join(words), _command(path, " ".join(words), rng)))
        with ThreadPoolExecutor() as pool:
            done = pool.map(lambda job: subprocess.run(job[2], check=True, capture_output=True), jobs)
            console = Console(stderr=True)
            for _ in track(done, "synthesising", len(jobs), console=console, disable=not console.is_terminal):
                pass
        with atomic_write(table) as file:
            file.write("path\tseconds\ttext\n")
            for path, text, _ in jobs:
                file.write(f"{path.name}\t{len(read_audio(path, 16000)) / 16000:.2f}\t{text}\n")
    return Dataset(table, "Synthetic speech: espeak-ng, flite", "free voices")


def _sentences(data: Path, rng: np.random.Generator, words: int) -> Iterator[list[str]]:
    """Sentences of the novels, spread over all of them, so many words in all."""
    with lzma.open(data / "text" / "novels.txt.xz", "rt", encoding="utf-8") as file:
        lines = file.readlines()
    for number in rng.permutation(len(lines)):
        sentence = normalise(lines[number])[:LONGEST]
        if len(sentence) >= SHORTEST:
            yield sentence
            words -= len(sentence)
        if words <= 0:
            return


def _command(path: Path, text: str, rng: np.random.Generator) -> list[str]:
    """A program with a voice, a rate and a pitch, drawn at random."""
    if rng.random() < 0.6:
        settings = [
            f"duration_stretch={rng.uniform(0.8, 1.3):.2f}",
            f"int_f0_target_mean={rng.uniform(80, 220):.0f}",
            f"int_f0_target_stddev={rng.uniform(8, 30):.0f}",
        ]
        options = [part for setting in settings for part in ("--setf", setting)]
        return ["flite", "-voice", str(rng.choice(FLITE)), *options, "-t", text, "-o", str(path)]
    voice = f"{rng.choice(ESPEAK)}{rng.choice(ESPEAK_SPEAKERS)}"
    rate, pitch = str(int(rng.integers(130, 200))), str(int(rng.integers(20, 80)))
    return ["espeak-ng", "-v", voice, "-s", rate, "-p", pitch, "-w", str(path), text]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--hours", type=float, default=2.0)
    options = parser.parse_args(arguments)
    try:
        print(synthetic(options.data, options.output, options.hours).path)
    except UsageError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
