"""An exported model beside its checkpoint: CPU time, memory, time until it is loaded; each in a process of its own.

    transducer export speech-en --output FOLDER [--int8]
    python bench/onnx_speed.py speech-en FOLDER... [--search greedy] [--recordings sample_media] [--repeat 3]

Prints for every model CPU seconds a second of audio on one thread (the best of some rounds, in which the models take
turns), CPU seconds until it is loaded, and the memory of the process at its peak, with what opens recordings.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import json, resource, sys, time

import transducer

model = transducer.load(sys.argv[1])
options = {"search": sys.argv[2], "second_pass": "none"} if model.kind == "words" else {}
model.engine(**options)
loaded = time.process_time()
model.predict(sys.argv[3], **options)
started, seconds = time.process_time(), 0.0
for path in sys.argv[3:]:
    with model.session(path, **options) as session:
        for _ in session:
            pass
        seconds += session.position
spent = (time.process_time() - started) / seconds
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"cpu": spent, "loaded": loaded, "memory": memory, "torch": "torch" in sys.modules}))
"""


def measure(model: str, search: str, recordings: list[str]) -> dict[str, float]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, model, search, *recordings]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("models", nargs="+", help="names or folders; the first is what the others are compared with")
    parser.add_argument("--search", default="greedy")
    parser.add_argument("--recordings", nargs="+", type=Path, default=[ROOT / "sample_media" / "island.wav"])
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    recordings = [str(path) for path in given.recordings]
    rounds = [[measure(model, given.search, recordings) for model in given.models] for _ in range(given.repeat)]
    table = Table("model", "CPU s a s of audio", "ratio", "CPU s to load", "memory, MB", "torch")
    first = None
    for model, *found in zip(given.models, *rounds, strict=True):
        best = {name: min(one[name] for one in found) for name in ("cpu", "loaded", "memory", "torch")}
        first = first or best["cpu"]
        table.add_row(
            model,
            f"{best['cpu']:.4f}",
            f"{best['cpu'] / first:.2f}",
            f"{best['loaded']:.2f}",
            f"{best['memory']:.0f}",
            "yes" if best["torch"] else "no",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
