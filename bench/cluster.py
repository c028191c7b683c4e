"""An archive through Ray on this machine: against worker processes, how soon the first result comes, and the memory.

    python bench/cluster.py [--clips 200] [--seconds 10] [--repeat 3] [--lines 100000] [--limit 300]

Needs the extra `scale`. Clips are those of bench/archives.py. Against `transcribe --jobs 2`, `batch --workers 2`
is timed as a whole, its start included; each run is told as it ends, and one that takes longer than --limit is given
up. The lines are of files that do not exist, so that all there is to do is what the cluster itself costs; after --limit
seconds, what there is by then is told. A quick look: --clips 8 --repeat 1 --lines 2000.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from archives import write_clips

from transducer.archive.cluster import Pool, joined, outcomes
from transducer.archive.model_work import Settings
from transducer.archive.names import Fingerprints


def timed(limit: float, *command: object) -> float:
    """Wall seconds of the command line; ends the program where it fails or takes too long."""
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "transducer", *map(str, command)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            _, told = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # it ends its workers, or its cluster
            _, told = process.communicate()
            sys.exit(f"{command[0]} took more than {limit:g} s\n{told}")
    if process.returncode:
        sys.exit(told)
    return time.monotonic() - began


def compare(folder: Path, given: argparse.Namespace) -> None:
    write_clips(folder / "clips", given.clips, given.seconds)
    listed = folder / "list.txt"
    listed.write_text("".join(f"clips/{number:04d}.wav\n" for number in range(given.clips)))
    commands = {
        "--jobs 2": ["transcribe", "--files-from", listed, "--jobs", 2, "--format", "json", "--output-dir"],
        "Ray, two workers": ["batch", listed, "--workers", 2, "--output"],
    }
    took: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(given.repeat):  # in turns, so that what else the machine does falls on both
        for name, command in commands.items():
            took[name].append(timed(given.limit, *command, folder / f"{command[0]}-{number}"))
            print(f"{name}: {took[name][-1]:.1f} s", flush=True)
    jobs, ray = map(min, took.values())
    print(f"{given.clips} clips of {given.seconds:g} s: Ray takes {ray / jobs:.2f} of --jobs 2", flush=True)


def long_list(folder: Path, given: argparse.Namespace) -> None:
    """The first result of a long list, and the memory of this process early and late."""
    path = folder / "long.jsonl"
    path.write_text("".join(json.dumps({"path": f"missing/{number}.wav"}) + "\n" for number in range(given.lines)))
    began = time.monotonic()
    settings = Settings("speech-en", threads=1)
    count, step = 0, max(1, given.lines // 10)
    with joined() as ray:
        for count, _ in enumerate(outcomes(str(path), Fingerprints(), settings, Pool(2), ray), 1):
            took = time.monotonic() - began
            if count == 1:
                print(f"{given.lines} lines: first result after {took:.1f} s", flush=True)
            if count % step == 0:
                print(f"{count} lines in {took:.0f} s: {memory():.0f} MB in the driver", flush=True)
            if took > given.limit:
                break
    took = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} lines in {took:.0f} s; {memory():.0f} MB in the driver, at most {peak:.0f} MB")


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
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for each run")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.clips:
            compare(Path(folder), given)
        if given.lines:
            long_list(Path(folder), given)


if __name__ == "__main__":
    main()
