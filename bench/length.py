"""Memory and time to the first word: one hour of audio against one minute.

    python bench/length.py [--model speech-en] [--search greedy] [--sample sample_media/the-way.mp3] [--json]

The sample is repeated to files of a minute and of an hour (16-bit PCM). Each is transcribed by a process of its
own, which reports its peak resident size, and its wall time from opening the file to the first partial result with
a word.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np

from transducer.media import read_audio

RATE = 16000
CHILD = """
import json, resource, sys, time
import torch, transducer
torch.set_num_threads(1)
path, model, search = sys.argv[1:]
model = transducer.load(model)
model.engine(search=search)
started, first, words = time.monotonic(), None, 0
with model.session(path, search=search) as session:
    for segment in session:
        if first is None and segment.words:
            first = time.monotonic() - started
        words += len(segment.words) * segment.final
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"peak_mb": peak, "first_word_seconds": first, "words": words}))
"""


def write_repeated(path: Path, samples: np.ndarray, seconds: int) -> None:
    """A wav file of this length, the samples over and over."""
    block = (np.clip(samples, -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        left = seconds * RATE
        while left > 0:
            file.writeframes(block[:left].tobytes())
            left -= len(block)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="speech-en")
    parser.add_argument("--search", default="greedy")
    parser.add_argument("--sample", type=Path, default=Path(__file__).resolve().parents[1] / "sample_media/the-way.mp3")
    parser.add_argument("--minutes", type=int, default=60, help="of the long file")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    samples = read_audio(args.sample, RATE)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for minutes in (1, args.minutes):
            path = Path(folder) / f"{minutes}.wav"
            write_repeated(path, samples, 60 * minutes)
            command = [sys.executable, "-c", CHILD, str(path), args.model, args.search]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results[minutes] = json.loads(done.stdout)
    if args.json:
        print(json.dumps(results))
        return
    for minutes, row in results.items():
        print(
            f"{minutes:3d} min: peak {row['peak_mb']:.0f} MB, first word after {row['first_word_seconds']:.2f} s, "
            f"{row['words']} words"
        )
    short, long = results[1], results[args.minutes]
    print(f"the long file takes {long['peak_mb'] - short['peak_mb']:+.1f} MB")
    print(f"its first word takes {long['first_word_seconds'] / short['first_word_seconds']:.2f} times as long")


if __name__ == "__main__":
    main()
