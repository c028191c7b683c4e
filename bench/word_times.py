"""Word start and end times against forced alignments.

    python bench/word_times.py TABLE.tsv [ALIGNMENTS.tsv] [--every 1] [--model speech-en] [--json]

Measured are the words that the model hears, and those of the table's text, aligned by it (`transducer align`).

ALIGNMENTS.tsv has the columns utterance (a recording's name without suffix), words, starts, ends (seconds, separated by
spaces). Without it, pocketsphinx (`pip install transducer[bench]`) aligns the references of the table with the sound;
with it, pocketsphinx, where it is installed, is measured against the alignments as well: how far one reference may
be trusted in place of the other. Only words that were recognised right are compared. Word times mean something only on
utterances that the model was not trained on.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import NamedTuple

import jiwer
import numpy as np
import torch
from rich.console import Console
from rich.progress import track

import transducer
from transducer.data.table import read_table
from transducer.media import read_audio
from transducer.text.english.normalise import normalise

RATE = 16000


class Timed(NamedTuple):
    """A word with its times in seconds."""

    text: str
    start: float
    end: float


def timed(transcript: transducer.Transcript) -> list[Timed]:
    return [Timed(text, word.start, word.end) for word in transcript.words for text in normalise(word.text).split()]


def read_alignments(path: Path) -> dict[str, list[Timed]]:
    with open(path, newline="") as file:
        return {
            row["utterance"]: [
                Timed(word, float(start), float(end))
                for word, start, end in zip(
                    row["words"].split(), row["starts"].split(), row["ends"].split(), strict=True
                )
            ]
            for row in csv.DictReader(file, delimiter="\t")
        }


class Aligner:
    """Forced alignment by pocketsphinx, over states; words that its dictionary lacks make an utterance unusable."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self.decoder = Decoder(lm=None, samprate=RATE, loglevel="FATAL")
        self.frame = 1 / self.decoder.config["frate"]

    def __call__(self, samples: np.ndarray, text: str) -> list[Timed] | None:
        if any(self.decoder.lookup_word(word) is None for word in text.split()):
            return None
        data = (np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes()
        try:
            self.decoder.set_align_text(text)
            for _ in range(2):  # words first, then with their states, which is what sets exact times
                self.decoder.start_utt()
                self.decoder.process_raw(data, no_search=False, full_utt=True)
                self.decoder.end_utt()
                if _ == 0:
                    self.decoder.set_alignment()
            words = list(self.decoder.get_alignment())
        except RuntimeError:
            return None
        return [
            Timed(word.name.split("(")[0], word.start * self.frame, (word.start + word.duration) * self.frame)
            for word in words
            if not word.name.startswith(("<", "["))
        ]


def differences(reference: list[Timed], words: list[Timed]) -> np.ndarray:
    """(N, 2): start and end of every word that both have, minus the reference's."""
    found = []
    if reference and words:
        pair = (" ".join(normalise(word.text) for word in side) for side in (reference, words))
        for part in jiwer.process_words(*pair).alignments[0]:
            if part.type == "equal":
                for i, j in zip(
                    range(part.ref_start_idx, part.ref_end_idx),
                    range(part.hyp_start_idx, part.hyp_end_idx),
                    strict=True,
                ):
                    found.append((words[j].start - reference[i].start, words[j].end - reference[i].end))
    return np.array(found).reshape(-1, 2)


def summary(parts: list[np.ndarray]) -> dict[str, float]:
    """In milliseconds."""
    ms = 1000 * np.concatenate(parts)
    return {
        "words": len(ms),
        "start_median_error": float(np.median(np.abs(ms[:, 0]))),
        "start_90_percent_error": float(np.percentile(np.abs(ms[:, 0]), 90)),
        "start_bias": float(np.median(ms[:, 0])),
        "end_median_error": float(np.median(np.abs(ms[:, 1]))),
        "end_bias": float(np.median(ms[:, 1])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("alignments", nargs="?", type=Path)
    parser.add_argument("--every", type=int, default=1, help="only each so-manieth utterance")
    parser.add_argument("--model", default="speech-en")
    parser.add_argument("--second-pass", help="a model that writes finals; none for none; the model's own if not given")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = transducer.load(options.model)
    known = read_alignments(options.alignments) if options.alignments else None
    try:
        align = Aligner()
    except ImportError:
        if known is None:
            parser.exit(1, "error: without alignments pocketsphinx is needed: pip install 'transducer[bench]'\n")
        align = None
    ours, given, peers = [], [], []
    utterances = [
        row for row in read_table(options.table, needs="text").items if known is None or row.path.stem in known
    ]
    for utterance in track(utterances[:: options.every], console=Console(stderr=True), description="listening"):
        samples = read_audio(utterance.path, RATE)
        aligned = align(samples, utterance.text) if align else None
        reference = aligned if known is None else known[utterance.path.stem]
        if reference is None:
            continue
        words = timed(model.transcribe([samples], second_pass=options.second_pass))
        ours.append(differences(reference, words))
        words = timed(model.align([samples], utterance.text))
        given.append(differences(reference, words))
        if known is not None and aligned is not None:
            peers.append(differences(reference, aligned))
    results = {"model": summary(ours), "model, text given": summary(given)}
    if peers:
        results["pocketsphinx"] = summary(peers)
    if options.json:
        print(json.dumps(results))
        return
    for name, result in results.items():
        print(f"{name}: " + ", ".join(f"{key} {value:.0f}" for key, value in result.items()) + " (ms)")


if __name__ == "__main__":
    main()
