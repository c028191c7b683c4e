"""What raising the level of quiet recordings (open_audio's `level`) does to the words of a speech model.

python bench/level.py TABLE [--count 20] [--model speech-en]; the table has the columns path and text.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import jiwer
import numpy as np

import transducer
from transducer.media.audio import read_audio

DECIBELS = (0, -20, -30, -40, -54)
RATE = 16000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--model", default="speech-en")
    options = parser.parse_args()
    with options.table.open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    rows = rows[:: max(len(rows) // options.count, 1)][: options.count]
    sounds = [read_audio(options.table.parent / row["path"], RATE) for row in rows]
    model = transducer.load(options.model)
    print("dB\tword errors as it is\traised")
    for decibels in DECIBELS:
        gain = np.float32(10 ** (decibels / 20))
        errors = []
        for level in (False, True):
            heard = [model.transcribe(read_audio(sound * gain, RATE, level=level)).text.lower() for sound in sounds]
            errors.append(jiwer.wer([row["text"].lower() for row in rows], heard))
        print(f"{decibels}\t{errors[0]:.1%}\t{errors[1]:.1%}", flush=True)


if __name__ == "__main__":
    main()
