"""Word error rates of the same recordings as they are, over a telephone, in rooms, and in noise.

    python bench/varied.py SPEECH.tsv NOISE.tsv [--models speech-en speech-en:none whisper-tiny.en] [--snr 10 5]
        [--fold 5] [--every 1] [--search beam] [--json]

`MODEL:NAME` is a model with another second pass, `none` for none. The telephone is G.711, at 8 kHz; a room is drawn for
each utterance. Noise is added at a ratio of mean powers over the utterance, a clip (looped) drawn for each from those
whose file names begin with the fold's number ("5-187957-E.opus"), the same at all ratios. Texts are compared after
Whisper's English normaliser; beside the rate are the words left out, put in and replaced.
Needs `pip install '.[bench]'`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import jiwer
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from whisper_normalizer.english import EnglishTextNormalizer

import transducer
from transducer.data.augment.codecs import CODECS, sent_through
from transducer.data.augment.waveform import add_noise, reverberate
from transducer.data.table import read_table
from transducer.media import read_audio

RATE = 16000


def variants(speech: np.ndarray, noise: np.ndarray, snr: list[float], seed: int) -> dict[str, np.ndarray]:
    """What is heard of an utterance under each condition; scaled down where it would clip."""
    found = {
        "clean": speech,
        "telephone": sent_through(speech, RATE, CODECS[0]),
        "room": reverberate(speech, RATE, np.random.default_rng(seed)),
        **{f"noise, {level:g} dB": add_noise(speech, noise, level) for level in snr},
    }
    return {name: (sound / max(1.0, np.abs(sound).max())).astype(np.float32) for name, sound in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("noise", type=Path)
    parser.add_argument("--models", nargs="+", default=["speech-en", "speech-en:none", "whisper-tiny.en"])
    parser.add_argument("--snr", type=float, nargs="*", default=[10.0, 5.0])
    parser.add_argument("--fold", type=int, default=5)
    parser.add_argument("--every", type=int, default=1, help="take every so many recordings")
    parser.add_argument("--search", default=None)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng, normal = np.random.default_rng(0), EnglishTextNormalizer()
    utterances = read_table(options.speech, needs="text").items
    rows = read_table(options.noise, needs="label").items
    clips = [read_audio(row.path, RATE) for row in rows if row.path.name.startswith(f"{options.fold}-")]
    chosen = rng.integers(len(clips), size=len(utterances))
    models = {name: transducer.load(name.partition(":")[0]) for name in options.models}
    references: list[str] = []
    heard: dict[tuple[str, str], list[str]] = {}
    numbers = range(0, len(utterances), options.every)
    for number in track(numbers, console=Console(stderr=True), description="listening"):
        references.append(normal(utterances[number].text))
        speech = read_audio(utterances[number].path, RATE)
        for condition, sound in variants(speech, clips[chosen[number]], options.snr, number).items():
            for name, model in models.items():
                given = {"search": options.search, "second_pass": name.partition(":")[2] or None}
                text = model.transcribe([sound], **{key: value for key, value in given.items() if value}).text
                heard.setdefault((condition, name), []).append(normal(text))
    counts = {key: jiwer.process_words(references, texts) for key, texts in heard.items()}
    if options.json:
        print(json.dumps({", ".join(key): found.wer for key, found in counts.items()}))
        return
    table = Table("heard", *models, title=f"{len(references)} recordings: words wrong (left out, put in, replaced)")
    for condition in dict.fromkeys(condition for condition, _ in counts):
        row = [counts[condition, name] for name in models]
        cells = (f"{100 * x.wer:.1f} % ({x.deletions}, {x.insertions}, {x.substitutions})" for x in row)
        table.add_row(condition, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
