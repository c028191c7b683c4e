"""`transducer evaluate`: a model's error rates and speed on a table of recordings, or of clips."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import transducer
from transducer.cli.console import report, write_stdout
from transducer.cli.options import decoding_options, set_threads
from transducer.cli.outputs import require_folder
from transducer.data.table import read_table
from transducer.errors import UsageError
from transducer.evaluation.table import Evaluation, Evaluator, write_hypotheses


@dataclass(frozen=True)
class EvaluateJob:
    """What the command line asked for; None where nothing was said."""

    model: str
    table: str
    search: str | None = None
    beam: int | None = None
    chunk_ms: int | None = None
    hotwords: str | None = None
    threads: int | None = None
    hypotheses: str | None = None
    confusion: str | None = None
    json: bool = False


def run(job: EvaluateJob) -> int:
    """Evaluate and print; hypotheses of what was done are saved even if it ends early.

    Raises:
        TransducerError: wrong usage, or a recording that cannot be read: rates over a part would mislead.
    """
    options = decoding_options(job.search, job.beam, job.chunk_ms, job.hotwords)
    set_threads(job.threads)
    model = transducer.load(job.model)
    if getattr(model, "labels_video", False):
        from transducer.cli import evaluate_events

        return evaluate_events.run(job, model)
    if job.confusion is not None:
        raise UsageError(f"--confusion is for models for video, {model.name} is one of speech")
    utterances = read_table(job.table, needs="text").items
    if job.hypotheses is not None:
        _check_target(Path(job.hypotheses))
    evaluator = Evaluator(model, **options)
    saved = True
    try:
        with progress("utterances", len(utterances)) as advance:
            evaluation = evaluator.run(utterances, lambda utterance: advance())
    finally:
        if job.hypotheses is not None:
            saved = _save(evaluator.result(), job.hypotheses)
    summary = evaluation.summary()
    write_stdout(json.dumps(summary) + "\n" if job.json else _table(summary))
    return 0 if saved else 1


def _check_target(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; --hypotheses needs a file")
    if path.is_file() or not path.exists():
        require_folder(path.parent, "--hypotheses")


def _save(evaluation: Evaluation, path: str) -> bool:
    try:
        write_hypotheses(evaluation, path)
    except OSError as error:
        report("error", f"{path}: cannot be written: {error.strerror}")
        return False
    return True


def _table(summary: dict[str, float | None]) -> str:
    def percent(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.2f} %"

    audio = summary["audio_seconds"] or 0.0
    rows = [("WER", percent(summary["wer"])), ("CER", percent(summary["cer"]))]
    rows += [(name, f"{summary[name]:,}") for name in ("words", "insertions", "deletions", "substitutions")]
    rows += [("audio", f"{audio:.1f} s")]
    for name in ("cpu", "wall"):
        seconds = summary[f"{name}_seconds"] or 0.0
        rows.append((name, f"{seconds:.1f} s" + (f", {seconds / audio:.4f} s a second of audio" if audio else "")))
    return "".join(f"{name:14}{value}\n" for name, value in rows)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error, where that is a terminal; gives what takes it one further."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
