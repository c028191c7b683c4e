"""Shot transitions found and frames per second, beside PySceneDetect and FFmpeg's scdet in the same run.

    python bench/shots.py FOLDER [--model shots] [--cores 2] [--only NAME...] [--json FILE] [--errors]

FOLDER holds `truth.json` and the clips that it names, with any ending that means video:

    {"CLIP": {"ev": [{"type": "cut", "start": 333, "end": 334}, ...], "ignore": [[0, 105]], "fps": 24.0}}

`start` is the last frame wholly of the old shot, `end` the first wholly of the new one, from 0; what is found in the
ranges of `ignore`, both ends included, is no false alarm. A transition counts as found if one that was given meets its
frames, widened by the tolerance; one to one, whatever the label. Everything runs end to end, decoding included, on the
same cores, one after the other; `decoding` reads the frames at the model's size and does nothing with them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from transducer.errors import TransducerError, UsageError
from transducer.evaluation.transitions import Interval, TransitionScores, match_transitions, score_transitions

ENDINGS = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v", ".mpg", ".ts", ".ogv", ".flv", ".wmv", ".y4m")
Method = Callable[[Path], list[Interval]]


@dataclass(frozen=True)
class Clip:
    """A video with its transitions. `ignore`: ranges of frames; `fps`: for rates of time."""

    path: Path
    truth: tuple[Interval, ...]
    ignore: tuple[tuple[int, int], ...]
    fps: float
    frames: int


def read_clips(folder: Path) -> list[Clip]:
    """Raises UsageError: no truth.json, or it is damaged, or a clip is missing."""
    try:
        entries = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{folder}/truth.json: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{folder}/truth.json is no JSON: {error}") from None
    clips = []
    for name, entry in entries.items():
        paths = [folder / name, *(folder / (name + ending) for ending in ENDINGS)]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise UsageError(
                f"{folder}: no video for {name!r} of truth.json; it would be called {name}.mp4, for example"
            )
        try:
            truth = tuple(Interval(int(event["start"]), int(event["end"]), event["type"]) for event in entry["ev"])
            ignore = tuple((int(first), int(last)) for first, last in entry.get("ignore", ()))
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{folder}/truth.json: the entry of {name!r} is damaged: {error!r}") from None
        fps, frames = probe(path)
        clips.append(Clip(path, truth, ignore, fps, int(entry.get("frames") or frames)))
    return clips


def probe(path: Path) -> tuple[float, int]:
    """Frames a second, and how many as far as the header tells, else 0."""
    from transducer.media.video.reader import open_video

    with open_video(path, (27, 48), fast=True) as video:
        return float(video.fps), video.frames or 0


def decoding(size: tuple[int, int], counts: dict[Path, int], path: Path) -> list[Interval]:
    from transducer.media.video.reader import open_video

    with open_video(path, size, fast=True) as video:
        counts[path] = sum(len(images) for images, _, _ in video.batches(128))
    return []


def ours(model: Any, path: Path) -> list[Interval]:
    return [Interval(event.start_frame, event.end_frame, event.label) for event in model.label(path).events]


def scenedetect_methods() -> dict[str, Method]:
    """PySceneDetect's detectors as they come, and with scenes as short as two frames; {} where it isn't installed."""
    try:
        import scenedetect.detectors as detectors
    except ImportError:
        print("PySceneDetect is left out: pip install scenedetect", file=sys.stderr)
        return {}
    short = {"min_scene_len": 2}
    return {
        "PySceneDetect content": partial(run_scenedetect, detectors.ContentDetector),
        "PySceneDetect content, 2": partial(run_scenedetect, partial(detectors.ContentDetector, **short)),
        "PySceneDetect adaptive": partial(run_scenedetect, detectors.AdaptiveDetector),
        "PySceneDetect adaptive, 2": partial(run_scenedetect, partial(detectors.AdaptiveDetector, **short)),
        "PySceneDetect threshold": partial(run_scenedetect, detectors.ThresholdDetector),
        "PySceneDetect hash, 2": partial(run_scenedetect, partial(detectors.HashDetector, **short)),
        "PySceneDetect histogram, 2": partial(run_scenedetect, partial(detectors.HistogramDetector, **short)),
    }


def run_scenedetect(detector: Callable[[], Any], path: Path) -> list[Interval]:
    import scenedetect

    manager = scenedetect.SceneManager()
    manager.add_detector(detector())
    manager.detect_scenes(scenedetect.open_video(str(path)))
    starts = [int(start.frame_num) for start, _ in manager.get_scene_list()]
    return [Interval(start - 1, start, "cut") for start in starts[1:]]


def scdet_methods(clips: list[Clip]) -> dict[str, Method]:
    """FFmpeg's filter scdet at its usual threshold; {} where there is no ffmpeg."""
    if shutil.which("ffmpeg") is None:
        print("scdet is left out: there is no program ffmpeg", file=sys.stderr)
        return {}
    rates = {clip.path: clip.fps for clip in clips}
    return {"FFmpeg scdet": lambda path: run_scdet(path, rates[path])}


def run_scdet(path: Path, fps: float) -> list[Interval]:
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-i", str(path), "-an", "-vf", "scdet", "-f", "null", "-"]
    log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    frames = [round(float(seconds) * fps) for seconds in re.findall(r"lavfi\.scd\.time: *([0-9.]+)", log)]
    return [Interval(frame - 1, frame, "cut") for frame in frames if frame > 0]


def measure(method: Method, clips: list[Clip], runs: int) -> dict[str, Any]:
    """Counts at tolerances of 0 and 2 frames, and frames per second: the best of some runs over all clips."""
    given = {}
    best = float("inf")
    for _ in range(runs):
        started = time.perf_counter()
        for clip in clips:
            given[clip.path] = method(clip.path)
        best = min(best, time.perf_counter() - started)
    scores = {tolerance: TransitionScores() for tolerance in (0, 2)}
    errors = []
    for clip in clips:
        for tolerance in scores:
            scores[tolerance] += score_transitions(clip.truth, given[clip.path], tolerance, clip.ignore, clip.frames)
        errors.append({"clip": clip.path.name, **mistakes(clip, given[clip.path])})
    minutes = sum(clip.frames / clip.fps for clip in clips) / 60
    return {
        "at_0": scores[0].summary(),
        "at_2": scores[2].summary(),
        "false_alarms_per_minute": scores[2].false_alarms / minutes if minutes else 0.0,
        "frames_per_second": scores[2].frames / best,
        "errors": errors,
    }


def mistakes(clip: Clip, given: list[Interval]) -> dict[str, list[Interval]]:
    """What was missed and what was made up, ignored ranges left out."""
    pairs = match_transitions(clip.truth, given, 2)
    found, used = {truth for truth, _ in pairs}, {number for _, number in pairs}

    def counts(event: Interval) -> bool:
        return not any(event.start <= last and event.end >= first for first, last in clip.ignore)

    return {
        "missed": [t for number, t in enumerate(clip.truth) if number not in found and counts(t)],
        "false_alarms": [g for number, g in enumerate(given) if number not in used and counts(g)],
    }


def table(results: dict[str, dict[str, Any]]) -> Table:
    """Accuracy in percent at a tolerance of 2 frames, and F1 at 0 as well."""
    shown = Table(title="Shot transitions, tolerance 2 frames")
    shown.add_column("method")
    for column in ("P", "R", "F1", "F1 at 0", "cuts", "gradual", "false alarms", "a minute", "frames/s"):
        shown.add_column(column, justify="right")
    for name, result in results.items():
        speed = f"{result['frames_per_second']:.0f}"
        if name == "decoding":
            shown.add_row(name, *[""] * 8, speed)
            continue
        loose, strict = result["at_2"], result["at_0"]
        rates = [loose[key] for key in ("precision", "recall", "f1")] + [strict["f1"]]
        cells = ["-" if rate is None else f"{100 * rate:.1f}" for rate in rates]
        cells += [f"{loose[kind + '_found']}/{loose[kind]}" for kind in ("cuts", "gradual")]
        alarms = [str(loose["false_alarms"]), f"{result['false_alarms_per_minute']:.2f}"]
        shown.add_row(name, *cells, *alarms, speed)
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="shots", help="a bundled model or a folder")
    parser.add_argument("--threshold", type=float, help="of the model, in place of its own")
    parser.add_argument("--cores", type=int, default=2, help="run on so many cores; 0 for all")
    parser.add_argument("--runs", type=int, default=1, help="of each method; the fastest counts")
    parser.add_argument("--only", nargs="+", default=[], help="methods with one of these in their names")
    parser.add_argument("--errors", action="store_true", help="print what the model missed and made up")
    parser.add_argument("--json", type=Path, help="also write everything here")
    options = parser.parse_args()
    if options.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])

    import transducer

    try:
        clips = read_clips(options.folder)
        model = transducer.load(options.model)
        run_ours = partial(ours, model)
        if options.threshold is not None:
            run_ours = partial(_ours_at, model, options.threshold)
        counts: dict[Path, int] = {}
        methods: dict[str, Method] = {
            "decoding": partial(decoding, (model.medium.height, model.medium.width), counts),
            options.model: run_ours,
            **scenedetect_methods(),
            **scdet_methods(clips),
        }
        if options.only:
            methods = {n: m for n, m in methods.items() if any(part.lower() in n.lower() for part in options.only)}
        facts = model.info()
        results = {}
        for name, method in methods.items():
            method(clips[0].path)  # what the first call loads is not its cost
            results[name] = measure(method, clips, options.runs)
    except TransducerError as error:
        print(f"bench/shots.py: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from None

    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table(results))
    console.print(f"look-ahead {facts['look_ahead_frames']} frames, {facts['look_ahead_seconds']:.2f} s at 25 a second")
    if options.errors and options.model in results:
        for entry in results[options.model]["errors"]:
            for kind in ("missed", "false_alarms"):
                for span in entry[kind]:
                    console.print(f"{entry['clip']}: {kind.replace('_', ' ')}: {span.label} {span.start}-{span.end}")
    if options.json:
        options.json.write_text(json.dumps({"facts": facts, "results": results}, indent=1) + "\n", encoding="utf-8")


def _ours_at(model: Any, threshold: float, path: Path) -> list[Interval]:
    events = model.label(path, threshold=threshold).events
    return [Interval(event.start_frame, event.end_frame, event.label) for event in events]


if __name__ == "__main__":
    main()
