"""Many streams in one StreamBatch against the same streams one by one.

    python bench/batch.py [--model speech-en] [--searches greedy beam] [--streams 16] [--chunk-ms 320] [--seconds 8]
                          [--repeats 3] [--json]

CPU time on one thread, the least of several runs, and what the search has of it; every stream gets the sample from
another place on. The texts must be the same.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import transducer
from transducer.media import read_audio


class Stopwatch:
    """CPU seconds spent in the calls of some methods of an object, from now on."""

    def __init__(self, target: Any, *methods: str):
        self.seconds = 0.0
        for name in methods:
            setattr(target, name, self._timed(getattr(target, name)))

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            started = time.process_time()
            try:
                return method(*args)
            finally:
                self.seconds += time.process_time() - started

        return call


def text_of(segments: list[Any]) -> str:
    return " ".join(segment.text for segment in segments if segment.final)


def alone(engine: Any, sounds: list[np.ndarray], packet: int) -> list[str]:
    found = []
    for sound in sounds:
        stream = transducer.Stream(engine)
        segments = [s for start in range(0, len(sound), packet) for s in stream.push(sound[start : start + packet])]
        found.append(text_of(segments + stream.finish()))
    return found


def together(engine: Any, sounds: list[np.ndarray], packet: int) -> list[str]:
    batch = transducer.StreamBatch(engine, len(sounds))
    segments: list[list[Any]] = [[] for _ in sounds]
    for name in range(len(sounds)):
        batch.join(name)
    for start in range(0, len(sounds[0]), packet):
        for name, sound in enumerate(sounds):
            batch.push(name, sound[start : start + packet])
        for name, found in batch.step().items():
            segments[name] += found
    for name in range(len(sounds)):
        batch.end(name)
    while len(batch):  # a client leaves with the last of its results
        for name, found in batch.step().items():
            segments[name] += found
    return [text_of(found) for found in segments]


def measure(engine: Any, sounds: list[np.ndarray], packet: int, repeats: int) -> dict[str, Any]:
    search = Stopwatch(engine.search, "step", "flush")
    runs = {"one by one": alone, "in a batch": together}
    texts = {name: run(engine, sounds, packet) for name, run in runs.items()}
    found: dict[str, Any] = {name: {"seconds": float("inf")} for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():  # in turn, so that both have the machine as it is
            search.seconds, started = 0.0, time.process_time()
            run(engine, sounds, packet)
            used = {"seconds": time.process_time() - started, "search": search.seconds}
            found[name] = min(found[name], used, key=lambda entry: entry["seconds"])
    return {
        **found,
        "ratio": found["in a batch"]["seconds"] / found["one by one"]["seconds"],
        "same_texts": sum(a == b for a, b in zip(*texts.values(), strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="speech-en")
    parser.add_argument("--searches", nargs="+", default=["greedy", "beam"])
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--chunk-ms", type=int, default=320)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sample", type=Path, default=Path(__file__).resolve().parents[1] / "sample_media/the-way.mp3")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = transducer.load(args.model)
    whole = read_audio(args.sample, model.rate)
    count = int(args.seconds * model.rate)
    sounds = [np.resize(np.roll(whole, -i * len(whole) // args.streams), count) for i in range(args.streams)]
    packet = args.chunk_ms * model.rate // 1000
    results = {
        search: measure(model.engine(search=search, chunk_ms=args.chunk_ms), sounds, packet, args.repeats)
        for search in args.searches
    }
    if args.json:
        print(json.dumps({"streams": args.streams, "seconds": args.seconds, **results}))
        return
    table = Table("search", "streams", "CPU s per s", "of them search", title=f"{args.streams} streams")
    for search, result in results.items():
        for name in ("one by one", "in a batch"):
            used = result[name]
            share = used["search"] / used["seconds"]
            table.add_row(search, name, f"{used['seconds'] / (args.streams * args.seconds):.4f}", f"{share:.0%}")
    Console().print(table)
    for search, result in results.items():
        print(f"{search}: ratio {result['ratio']:.2f}; {result['same_texts']} of {args.streams} texts the same")


if __name__ == "__main__":
    main()
