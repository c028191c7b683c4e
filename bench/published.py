"""A published Whisper through our stream, beside faster-whisper on the same recordings in the same run.

    python bench/published.py MODEL TABLE.tsv [--count 20] [--no-peer] [--quiet FILES...] [--seconds 60] [--json]

MODEL is a folder in CTranslate2's form, which both read; TABLE.tsv has the columns `path` and `text`. Prints

- word errors with Whisper's English normaliser on both sides: of files (segments are decoded once), of the stream
  (segments are decoded while they grow), of faster-whisper (int8, one thread, greedy and with its beam of 5);
- CPU seconds a second of sound, loading left out;
- the lag of a stable word behind its end on the clock of the media, with and without the CPU time of the packet;
- words that are invented in `--quiet` recordings, of which each is cut or looped to `--seconds`;
- the most memory that the process took before the peer was loaded.

Needs `pip install '.[bench]'`.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import torch

import transducer
from transducer.data.table import read_table
from transducer.media import read_audio

RATE = 16000
PACKET = RATE // 10


def measure(write: Callable[[np.ndarray], str], sounds: list[np.ndarray]) -> tuple[list[str], float]:
    """The text of each recording, and CPU seconds a second."""
    write(sounds[0][: 2 * RATE])  # what the first call loads is not its cost
    started = time.process_time()
    texts = [write(sound) for sound in sounds]
    return texts, (time.process_time() - started) * RATE / sum(map(len, sounds))


def stream(model: Any, sound: np.ndarray, lags: list[tuple[float, float]]) -> str:
    """The final text of a recording that comes in packets; adds the lag of each word, without and with CPU time."""
    listener, heard, stable, finals = model.stream(), 0, 0, []
    for start in range(0, len(sound) + PACKET, PACKET):
        before = time.process_time()
        ended = start >= len(sound)
        results = listener.finish() if ended else listener.push(sound[start : start + PACKET])
        used = time.process_time() - before
        heard = min(start + PACKET, len(sound))
        for segment in results:
            for word in segment.words[stable : segment.stable]:
                lags.append((heard / RATE - word.end, heard / RATE - word.end + used))
            stable = 0 if segment.final else max(stable, segment.stable)
            if segment.final:
                finals.append(segment.text)
    return " ".join(finals)


def peer(folder: str, beam: int) -> Callable[[np.ndarray], str]:
    from faster_whisper import WhisperModel

    model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)
    return lambda sound: "".join(s.text for s in model.transcribe(sound, language="en", beam_size=beam)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("table", type=Path)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--no-stream", action="store_true")
    parser.add_argument("--quiet", type=Path, nargs="*", default=[])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    from whisper_normalizer.english import EnglishTextNormalizer

    torch.set_num_threads(1)
    normalise = EnglishTextNormalizer()
    rows = read_table(options.table).items[: options.count]
    sounds, wanted = [read_audio(row.path, RATE) for row in rows], [normalise(row.text) for row in rows]
    model = transducer.load(options.model)
    lags: list[tuple[float, float]] = []
    ways: dict[str, Callable[[np.ndarray], str]] = {"files": lambda sound: model.transcribe([sound]).text}
    if not options.no_stream:
        ways["stream"] = lambda sound: stream(model, sound, lags)
    found: dict[str, Any] = {}

    def tell(name: str, write: Callable[[np.ndarray], str]) -> None:
        texts, cost = measure(write, sounds)
        errors = 100 * jiwer.wer(wanted, [normalise(text) for text in texts]) if sounds else 0.0
        found[name] = {"word_error_rate": errors, "cpu_seconds_per_second": cost}

    if sounds:
        for name, write in ways.items():
            tell(name, write)
    if lags:
        for name, number in (("media", 0), ("media and CPU", 1)):
            found[f"lag of a stable word, {name}"] = statistics.median(lag[number] for lag in lags)
    invented = {}
    for path in options.quiet:
        sound = np.resize(read_audio(path, RATE), int(options.seconds * RATE))
        invented[path.name] = [word.text for word in model.transcribe([sound]).words]
    if invented:
        minutes = len(invented) * options.seconds / 60
        found["invented words a minute"] = sum(map(len, invented.values())) / minutes
        found["invented"] = {name: words for name, words in invented.items() if words}
    found["memory in MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if sounds and not options.no_peer:
        for beam in (1, 5):
            tell(f"faster-whisper, beam {beam}", peer(options.model, beam))
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:36} {value}")


if __name__ == "__main__":
    main()
