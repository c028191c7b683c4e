"""Memory while a long film is labelled: it must not grow with the film.

    python bench/label_memory.py CLIP [--hours 2] [--model shots] [--json FILE]

CLIP is repeated, without being decoded anew, to a film of so many hours by FFmpeg's loop of packets; the film is
written to a temporary folder, labelled as a stream of events that nobody keeps, and the memory of the process is
noted every minute of film. The verdict compares the last hour with the ten minutes after the first.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import transducer
from transducer.errors import TransducerError, UsageError

ALLOWED = 0.05  # growth that counts as flat


def resident() -> float:
    """Megabytes of this process that are in memory, now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def loop(clip: Path, seconds: float, film: Path) -> None:
    """Repeat a clip's packets.

    Raises:
        UsageError: no ffmpeg, or it cannot do that.
    """
    if shutil.which("ffmpeg") is None:
        raise UsageError("the long film is made by the program ffmpeg, which is not there: install FFmpeg")
    command = ["ffmpeg", "-v", "error", "-nostdin", "-stream_loop", "-1", "-i", str(clip)]
    command += ["-t", str(seconds), "-map", "0:v:0", "-c", "copy", str(film)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UsageError(
            f"{clip}: ffmpeg cannot repeat it: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
        )


def follow(model: Any, film: Path, every: float) -> tuple[list[tuple[float, float]], int, float]:
    """Seconds of film with megabytes in memory, the number of events, frames per second."""
    notes, events = [], 0
    started = time.perf_counter()
    with model.session(film) as session:
        for event in session:
            events += 1
            if not notes or event.end >= notes[-1][0] + every:
                notes.append((float(event.end), resident()))
        frames = session.result().frames
    return notes, events, frames / (time.perf_counter() - started)


def verdict(notes: list[tuple[float, float]]) -> dict[str, float | bool]:
    """Means of the tenth of the film after its first tenth, and of its second half."""
    end = notes[-1][0]
    early = [size for at, size in notes if 0.1 * end <= at <= 0.2 * end]
    late = [size for at, size in notes if at >= 0.5 * end]
    first, last = sum(early) / max(1, len(early)), sum(late) / len(late)
    return {"early_mb": first, "late_mb": last, "flat": last <= first * (1 + ALLOWED)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, help="with at least a transition a minute")
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--model", default="shots")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    try:
        model = transducer.load(options.model)
        with tempfile.TemporaryDirectory() as folder:
            film = Path(folder) / f"film{options.clip.suffix}"
            loop(options.clip, 3600 * options.hours, film)
            notes, events, speed = follow(model, film, 60)
    except TransducerError as error:
        print(f"bench/label_memory.py: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from None
    if len(notes) < 10:
        print("bench/label_memory.py: too few events to judge by: take a clip with more transitions", file=sys.stderr)
        raise SystemExit(2)
    found = {**verdict(notes), "hours": notes[-1][0] / 3600, "events": events, "frames_per_second": speed}
    print(f"{found['hours']:.2f} h of film, {events} events, {speed:.0f} frames/s")
    print(f"memory {found['early_mb']:.0f} MB early on, {found['late_mb']:.0f} MB in the second half")
    print("flat" if found["flat"] else "it grows")
    if options.json:
        options.json.write_text(json.dumps({**found, "notes": notes}) + "\n", encoding="utf-8")
    raise SystemExit(0 if found["flat"] else 1)


if __name__ == "__main__":
    main()
