"""An archive with several worker processes against one process file by file, and a long list of files.

    python bench/archives.py [--what speed list] [--clips 200] [--seconds 10] [--jobs 2] [--lines 100000] [--json]

speed: wall and CPU time of `transducer transcribe` over a folder of clips, one by one as without --jobs, then with
--jobs 1 and --jobs N; the texts must be the same. The clips are the sample recordings, each from another place on.

list: a manifest of so many lines, in which a few clips come again and again: seconds until the first result, and the
memory of the process that hands out the files, for --limit seconds; the same with --resume, where all but the last ten
lines have been done; and what it does with every line of the list, by itself, first with nothing done and then with
everything.
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
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from transducer.media import read_audio

RATE = 16000
SAMPLES = Path(__file__).resolve().parents[1] / "sample_media"
SPOKEN = ("the-way.mp3", "island.wav", "tea.m4a", "apple-tree.flac", "stars.mp4")


def write_clips(folder: Path, count: int, seconds: float) -> None:
    """So many clips of this length from the sample recordings, no two of them the same."""
    whole = np.concatenate([read_audio(SAMPLES / name, RATE) for name in SPOKEN])
    folder.mkdir()
    for number in range(count):
        samples = np.resize(np.roll(whole, -number * len(whole) // count), round(seconds * RATE))
        with wave.open(str(folder / f"{number:04d}.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def transcribe(*arguments: str) -> dict[str, float]:
    """Wall and CPU seconds of the command line, its workers included."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "transducer", "transcribe", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": time.monotonic() - began, "cpu": used}


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.txt")}


def measure_speed(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    clips = folder / "clips"
    write_clips(clips, args.clips, args.seconds)
    runs = {"one by one": [], "--jobs 1": ["--jobs", "1"], f"--jobs {args.jobs}": ["--jobs", str(args.jobs)]}
    found: dict[str, Any] = {}
    for number, (name, options) in enumerate(runs.items()):
        out = folder / str(number)
        found[name] = transcribe(str(clips), "-m", args.model, "-o", str(out), *options)
    one, *others = (texts(folder / str(number)) for number in range(len(runs)))
    found["same texts"] = min(sum(one[name] == other[name] for name in one) for other in others)
    return found


def resident(process: int) -> float:
    """Megabytes that a process has in memory for itself."""
    with open(f"/proc/{process}/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("RssAnon"))


def watch(process: subprocess.Popen[bytes], summary: Path) -> Iterator[tuple[int, float, float]]:
    """(files done, seconds, megabytes) now and then, until the process ends."""
    began = time.monotonic()
    while process.poll() is None:
        done = summary.read_bytes().count(b"\n") if summary.exists() else 0
        try:
            yield done, time.monotonic() - began, resident(process.pid)
        except (OSError, StopIteration):
            return
        time.sleep(0.05 if done == 0 else 1.0)


def write_list(folder: Path, lines: int, seconds: float) -> None:
    """A manifest of so many lines, in which ten clips come again and again."""
    write_clips(folder / "clips", 10, seconds)
    with open(folder / "list.jsonl", "w") as file:
        for number in range(lines):
            file.write(json.dumps({"path": f"clips/{number % 10:04d}.wav", "output": place(number)}) + "\n")


def place(number: int) -> str:
    """Of the results of a line."""
    return f"{number % 100}/{number}"


def run_list(folder: Path, out: Path, args: argparse.Namespace, resume: bool, before: int) -> dict[str, Any]:
    """Seconds to the first result, files done and megabytes of a run over the list, until --limit or until its end.

    Args:
        before: lines that its summary has already.
    """
    command = [sys.executable, "-m", "transducer", "transcribe", "--files-from", str(folder / "list.jsonl")]
    command += ["-m", args.model, "--search", "greedy", "--jobs", str(args.jobs), "-o", str(out)]
    first, memory = 0.0, {}
    with subprocess.Popen(command + ["--resume"] * resume, stderr=subprocess.DEVNULL) as process:
        for done, seconds, megabytes in watch(process, out / "summary.jsonl"):
            new = done - before
            first = first or seconds * (new > 0)
            memory[max(new, 0)] = megabytes
            if seconds > args.limit:
                process.send_signal(signal.SIGINT)
                break
    return {"first result": first or None, "done": max(memory), "driver MB": memory}


def measure_list(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    write_list(folder, args.lines, args.seconds)
    return run_list(folder, folder / "out", args, resume=False, before=0)


def measure_resume(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """After `measure_list`, of whose entries a summary is made in which all lines are done but ten."""
    with open(folder / "out" / "summary.jsonl") as file:
        entries = {entry["file"]: entry for entry in map(json.loads, file)}
    if len(entries) < 10:
        sys.exit(f"no ten files were done in {args.limit:g} s: --limit must be longer")
    out, done = folder / "resumed", args.lines - 10
    for number in range(100):
        (out / str(number)).mkdir(parents=True)
    with open(out / "summary.jsonl", "w") as file:
        for number in range(done):
            entry = entries[str(folder / f"clips/{number % 10:04d}.wav")]
            file.write(json.dumps({**entry, "output": place(number)}) + "\n")
            (out / f"{place(number)}.txt").touch()
    return run_list(folder, out, args, resume=True, before=done)


def measure_driver(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The list by itself: names, identities and the index of what is done, for every line, without workers."""
    program = """
import json, os, sys, time
from transducer.archive.manifest import Manifest
from transducer.archive.names import Names
from transducer.archive.summary import Entry, Summary, identify
def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("RssAnon"))
names, found, began = Names(), {}, time.monotonic()
with Summary(sys.argv[2], resume=True) as summary:
    found["index"] = time.monotonic() - began, resident()
    for number, item in enumerate(Manifest(sys.argv[1]), start=1):
        output, identity = str(names.give(item)), identify(item.path, "made")
        if not summary.is_done(output, identity):
            summary.add(Entry(item.path, output, "done", 1.0, None, 0.1, identity))
        if number in (1000, 10000, 50000, 100000):
            found[number] = time.monotonic() - began, resident()
print(json.dumps(found))
"""
    runs = []
    for _ in range(2):  # the second finds all done
        arguments = [sys.executable, "-c", program, str(folder / "list.jsonl"), str(folder / "index")]
        runs.append(json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout))
    return {"new": runs[0], "all done before": runs[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--what", nargs="+", default=["speed", "list"], choices=["speed", "list"])
    parser.add_argument("--model", default="speech-en")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds after which the run over the list is ended")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if "speed" in args.what:
            results["speed"] = measure_speed(Path(folder), args)
    with tempfile.TemporaryDirectory() as folder:
        if "list" in args.what:
            results["list"] = measure_list(Path(folder), args)
            results["resumed"] = measure_resume(Path(folder), args)
            results["driver"] = measure_driver(Path(folder), args)
    if args.json:
        print(json.dumps(results))
        return
    if "speed" in results:
        one = results["speed"]["one by one"]
        for name, used in results["speed"].items():
            if isinstance(used, dict):
                print(
                    f"{name:12} {used['wall']:7.1f} s, {used['wall'] / one['wall']:.2f} of one by one; "
                    f"CPU {used['cpu']:7.1f} s, {used['cpu'] / one['cpu']:.2f}"
                )
        print(f"{results['speed']['same texts']} of {args.clips} texts the same")
    if "list" in results:
        for name, found in (("", results["list"]), (", resumed", results["resumed"])):
            first = f"after {found['first result']:.1f} s" if found["first result"] else f"not in {args.limit:g} s"
            print(f"{args.lines} lines{name}: first result {first}; {found['done']} files done")
            print(f"driver, MB by files done: {found['driver MB']}")
        for name, run in results["driver"].items():
            print(f"list {name}: " + ", ".join(f"{at}: {s:.1f} s, {mb:.0f} MB" for at, (s, mb) in run.items()))


if __name__ == "__main__":
    main()
