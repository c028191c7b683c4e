"""CPU time a second of audio, on one thread, beside pocketsphinx in the same run.

    python bench/speed.py [TABLE.tsv | FOLDER | FILES...] [--model speech-en] [--seconds 300] [--json]

Streams every recording through the model, greedy and with its beam search, in chunks of 320 and 640 ms, and prints
CPU seconds a second of audio, loading left out. With pocketsphinx installed (`pip install transducer[bench]`), its
own English model decodes the same sound; the last column is the ratio to it. Ratios of one run mean something on a
noisy machine, seconds less.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import transducer
from transducer.data.table import read_table
from transducer.errors import TransducerError
from transducer.media import read_audio

SAMPLES = Path(__file__).resolve().parents[1] / "sample_media"


def recordings(paths: list[Path]) -> Iterator[Path]:
    """Files themselves, those in a table's column `path`, and all media in a folder."""
    for path in paths:
        if path.suffix == ".tsv":
            yield from (item.path for item in read_table(path).items)
        elif path.is_dir():
            yield from sorted(path.iterdir())
        else:
            yield path


def load(paths: list[Path], seconds: float, rate: int) -> list[np.ndarray]:
    """Sound of as many recordings as it takes for so many seconds."""
    found: list[np.ndarray] = []
    for path in recordings(paths):
        if sum(map(len, found)) >= seconds * rate:
            break
        try:
            found.append(read_audio(path, rate))
        except TransducerError:
            continue  # a README or a script in the folder
    return found


def cpu_seconds(work: Callable[[np.ndarray], object], sounds: list[np.ndarray]) -> float:
    work(sounds[0])  # what the first call loads is not its cost
    started = time.process_time()
    for sound in sounds:
        work(sound)
    return time.process_time() - started


def pocketsphinx_decoder() -> Callable[[np.ndarray], object] | None:
    try:
        from pocketsphinx import Decoder
    except ImportError:
        return None
    decoder = Decoder(samprate=16000, loglevel="FATAL")

    def decode(sound: np.ndarray) -> object:
        decoder.start_utt()
        decoder.process_raw((np.clip(sound, -1, 1) * 32767).astype(np.int16).tobytes(), False, True)
        decoder.end_utt()
        return decoder.hyp()

    return decode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="*", type=Path, default=[SAMPLES])
    parser.add_argument("--model", default="speech-en")
    parser.add_argument("--seconds", type=float, default=300, help="of audio, at most about")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    torch.set_num_threads(1)
    model = transducer.load(args.model)
    sounds = load(args.paths, args.seconds, model.rate)
    audio = sum(map(len, sounds)) / model.rate
    results = {}
    for search in ("greedy", "beam"):
        for chunk_ms in (320, 640):
            options = {"search": search, "chunk_ms": chunk_ms}
            used = cpu_seconds(lambda sound, options=options: model.transcribe([sound], **options), sounds)
            results[f"{args.model}, {search}, {chunk_ms} ms"] = used / audio
    peer = pocketsphinx_decoder()
    if peer:
        results["pocketsphinx"] = cpu_seconds(peer, sounds) / audio
    if args.json:
        print(json.dumps({"audio_seconds": audio, "cpu_seconds_per_second": results}))
        return
    table = Table(title=f"{audio:.0f} s of audio, one thread")
    table.add_column("what")
    table.add_column("CPU s per s", justify="right")
    table.add_column("to pocketsphinx", justify="right")
    for name, value in results.items():
        ratio = f"{value / results['pocketsphinx']:.2f}" if peer else "not installed"
        table.add_row(name, f"{value:.4f}", ratio)
    Console().print(table)


if __name__ == "__main__":
    main()
