"""Many streams in one StreamBatch against the same streams one by one.

    python bench/batch.py [--model speech-en] [--streams 16] [--chunk-ms 320] [--seconds 8] [--json]

CPU time on one thread, greedy; every stream gets the sample from another place on. The texts must be the same.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

import transducer
from transducer.media import read_audio


def texts(segments) -> str:
    return " ".join(segment.text for segment in segments if segment.final)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="speech-en")
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--chunk-ms", type=int, default=320)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--sample", type=Path, default=Path(__file__).resolve().parents[1] / "sample_media/the-way.mp3")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = transducer.load(args.model)
    whole = read_audio(args.sample, model.rate)
    count = int(args.seconds * model.rate)
    sounds = [np.resize(np.roll(whole, -i * len(whole) // args.streams), count) for i in range(args.streams)]
    engine = model.engine(search="greedy", chunk_ms=args.chunk_ms)
    packet = args.chunk_ms * model.rate // 1000

    def alone() -> list[str]:
        found = []
        for sound in sounds:
            stream = transducer.Stream(engine)
            segments = [s for start in range(0, count, packet) for s in stream.push(sound[start : start + packet])]
            found.append(texts(segments + stream.finish()))
        return found

    def together() -> list[str]:
        batch = transducer.StreamBatch(engine, args.streams)
        segments: list[list] = [[] for _ in sounds]
        for name in range(args.streams):
            batch.join(name)
        for start in range(0, count, packet):
            for name, sound in enumerate(sounds):
                batch.push(name, sound[start : start + packet])
            for name, found in batch.step().items():
                segments[name] += found
        for name in range(args.streams):
            batch.end(name)
        while len(batch):  # a client leaves with the last of its results
            for name, found in batch.step().items():
                segments[name] += found
        return [texts(found) for found in segments]

    used = {}
    results = {}
    for name, run in (("one by one", alone), ("in a batch", together)):
        run()
        started = time.process_time()
        results[name] = run()
        used[name] = time.process_time() - started
    same = sum(a == b for a, b in zip(*results.values(), strict=True))
    ratio = used["in a batch"] / used["one by one"]
    if args.json:
        print(json.dumps({"cpu_seconds": used, "ratio": ratio, "same_texts": same, "streams": args.streams}))
        return
    for name, seconds in used.items():
        print(
            f"{args.streams} streams {name}: {seconds:.2f} CPU s, {seconds / (args.streams * args.seconds):.4f} per s"
        )
    print(f"ratio {ratio:.2f}; {same} of {args.streams} texts the same")


if __name__ == "__main__":
    main()
