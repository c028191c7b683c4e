"""Word error rate in noise, relative to clean.

    python bench/noise.py SPEECH.tsv NOISE.tsv [--snr 20 10 5] [--fold 5] [--model speech-en] [--search beam] [--json]

Noise is added at a ratio of mean powers over the utterance, a clip (looped) drawn for each utterance from those whose
file names begin with the fold's number ("5-187957-E.opus"), the same at all ratios.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

import transducer
from transducer.data.augment.waveform import add_noise
from transducer.data.table import read_table
from transducer.evaluation.wer import count_errors
from transducer.media import read_audio

RATE = 16000


def mix(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Speech with the noise, looped, at this ratio of mean powers; scaled down where it would clip."""
    mixed = add_noise(speech, noise, snr_db)
    return (mixed / max(1.0, np.abs(mixed).max())).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("noise", type=Path)
    parser.add_argument("--snr", type=float, nargs="+", default=[20.0, 10.0, 5.0])
    parser.add_argument("--fold", type=int, default=5)
    parser.add_argument("--model", default="speech-en")
    parser.add_argument("--search", default=None)
    parser.add_argument("--second-pass", help="a model that writes finals; none for none; the model's own if not given")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, rng = transducer.load(options.model), np.random.default_rng(0)
    utterances = read_table(options.speech, needs="text").items
    rows = read_table(options.noise, needs="label").items
    clips = [read_audio(row.path, RATE) for row in rows if row.path.name.startswith(f"{options.fold}-")]
    chosen = rng.integers(len(clips), size=len(utterances))
    levels = [np.inf, *options.snr]
    heard: dict[float, list[str]] = {level: [] for level in levels}
    console = Console(stderr=True)
    for utterance, clip in zip(track(utterances, console=console, description="listening"), chosen, strict=True):
        speech = read_audio(utterance.path, RATE)
        for level in levels:
            sound = mix(speech, clips[clip], level) if np.isfinite(level) else speech
            heard[level].append(model.transcribe([sound], search=options.search, second_pass=options.second_pass).text)
    texts = [utterance.text for utterance in utterances]
    rates = {level: count_errors(texts, heard[level]).wer for level in levels}
    if options.json:
        print(json.dumps({"clean" if np.isinf(level) else f"{level:g} dB": wer for level, wer in rates.items()}))
        return
    table = Table("signal to noise", "WER", "relative to clean")
    for level, wer in rates.items():
        name = "clean" if np.isinf(level) else f"{level:g} dB"
        table.add_row(name, f"{100 * wer:.1f} %", f"{wer / rates[np.inf]:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
