"""First words against the silence before them: of how many recordings the first word is wrong.

    python bench/first_words.py TABLE [--model speech-en] [--search beam] [--chunk-ms 640] [--recordings 30]

TABLE has the columns path and text, such as librispeech-dev.tsv. Each recording is cut where its speech begins (by its
level) and gets so much silence before it, faint noise as a quiet room has it; in a second pass another recording and so
much silence come before it. A first word is right if the first one or two words of the text begin what is heard.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from rich.console import Console
from rich.progress import track
from rich.table import Table as Grid

import transducer
from transducer.data.table import read_table
from transducer.media.audio import read_audio
from transducer.text.english.normalise import normalise

LEVEL = 0.02  # of the loudest 20 ms: where speech begins and ends
ROOM = 3e-5  # standard deviation of the noise, -90 dB


def speech(samples: np.ndarray, rate: int) -> np.ndarray:
    """From the first to the last loud place, and 20 ms around them."""
    hop = rate // 50
    levels = np.sqrt(np.add.reduceat(samples**2, np.arange(0, len(samples), hop)) / hop)
    loud = np.flatnonzero(levels > LEVEL * levels.max())
    return samples[max(0, loud[0] - 1) * hop : (loud[-1] + 2) * hop]


def first_word_right(text: str, heard: str) -> bool:
    """Whether the first word comes where it should: the best alignment of the beginnings has it in place."""
    wanted, found = text.split()[:4], heard.split()[:5]
    edits = Levenshtein.editops(wanted, found)
    return not any(edit.src_pos == 0 for edit in edits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--model", default="speech-en")
    parser.add_argument("--search", default="beam")
    parser.add_argument("--chunk-ms", type=float, default=640)
    parser.add_argument("--second-pass", help="a model that writes finals; none for none; the model's own if not given")
    parser.add_argument("--recordings", type=int, default=30)
    parser.add_argument("--silences", type=float, nargs="+", default=[0.1, 0.5, 1, 2, 5, 7.5, 10])
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = transducer.load(args.model)
    items = read_table(args.table).items
    items = [items[number * len(items) // args.recordings] for number in range(args.recordings)]
    rate, noise = model.rate, np.random.default_rng(1)
    sounds = [speech(read_audio(item.path, rate), rate) for item in items]

    def quiet(seconds: float) -> np.ndarray:
        return noise.normal(0, ROOM, int(seconds * rate)).astype(np.float32)

    def hear(samples: np.ndarray) -> list[transducer.Word]:
        found = model.transcribe([samples], search=args.search, chunk_ms=args.chunk_ms, second_pass=args.second_pass)
        return [replace(word, text=normalise(word.text)) for word in found.words]

    grid = Grid("silence before, s", "first words wrong, alone", "after another recording")
    for seconds in track(args.silences, console=Console(stderr=True), transient=True):
        alone = after = 0
        for number, (item, sound) in enumerate(zip(items, sounds, strict=True)):
            text = normalise(item.text)
            words = hear(np.concatenate([quiet(seconds), sound, quiet(0.5)]))
            alone += not first_word_right(text, " ".join(word.text for word in words))
            before = sounds[number - 1][: 4 * rate]
            words = hear(np.concatenate([before, quiet(seconds), sound, quiet(0.5)]))
            begin = len(before) / rate + seconds - 0.15
            after += not first_word_right(text, " ".join(word.text for word in words if word.end > begin + 0.1))
        grid.add_row(f"{seconds:g}", f"{alone} of {len(items)}", f"{after} of {len(items)}")
    Console().print(grid)


if __name__ == "__main__":
    main()
