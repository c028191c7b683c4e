"""An archive through Ray on this machine: against worker processes, how soon the first result comes, and the memory.

    python bench/cluster.py [--clips 200] [--seconds 10] [--lines 100000] [--repeat 3]

Needs the extra `scale`. Clips are those of bench/archives.py. Against `transcribe --jobs 2`, `batch --workers 2`
is timed as a whole, its start included. The lines are of files that do not exist, so that all there is to do is
what the cluster itself costs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from archives import write_clips

from transducer.archive.cluster import Pool, joined, outcomes
from transducer.archive.model_work import Settings
from transducer.archive.names import Fingerprints


def timed(*command: object) -> float:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "transducer", *map(str, command)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return time.monotonic() - began


def compare(folder: Path, clips: int, seconds: float, repeat: int) -> None:
    write_clips(folder / "clips", clips, seconds)
    listed = folder / "list.txt"
    listed.write_text("".join(f"clips/{number:04d}.wav\n" for number in range(clips)))
    jobs, ray = [], []
    for number in range(repeat):  # in turns, so that what else the machine does falls on both
        jobs.append(timed("transcribe", "--files-from", listed, "--jobs", 2, "--output-dir", folder / f"jobs-{number}",
                          "--format", "json"))  # fmt: skip
        ray.append(timed("batch", listed, "--workers", 2, "--output", folder / f"ray-{number}"))
    print(f"{clips} clips of {seconds:g} s, --jobs 2: {min(jobs):.1f} s; Ray, two workers: {min(ray):.1f} s;"
          f" ratio {min(ray) / min(jobs):.2f}")  # fmt: skip


def long_list(folder: Path, lines: int) -> None:
    """The first result of a long list, and the memory of this process early and late."""
    path = folder / "long.jsonl"
    path.write_text("".join(json.dumps({"path": f"missing/{number}.wav"}) + "\n" for number in range(lines)))
    began = time.monotonic()
    settings = Settings("speech-en", threads=1)
    marks: list[tuple[int, float]] = []
    with joined() as ray:
        for count, _ in enumerate(outcomes(str(path), Fingerprints(), settings, Pool(2), ray), 1):
            if count == 1:
                print(f"{lines} lines: first result after {time.monotonic() - began:.1f} s")
            if count % max(1, lines // 5) == 0:
                marks.append((count, memory()))
    took = time.monotonic() - began
    print(f"{count} lines in {took:.0f} s; memory of the driver: "
          + ", ".join(f"{mega:.0f} MB after {number}" for number, mega in marks))  # fmt: skip
    print(f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def memory() -> float:
    """Of this process now, in MB, without what it shares with Ray's store of objects."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return int(status["RssAnon"].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.lines:
            long_list(Path(folder), given.lines)
        if given.clips:
            compare(Path(folder), given.clips, given.seconds, given.repeat)


if __name__ == "__main__":
    main()
