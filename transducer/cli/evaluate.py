"""`transducer evaluate`: how right a model is, and how fast, on a table of recordings or clips."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transducer
from transducer.cli.console import report, write_stdout
from transducer.cli.options import WORD_OPTIONS, WordJob, set_threads, word_options
from transducer.cli.outputs import require_folder
from transducer.errors import UsageError
from transducer.evaluation.evaluator import Evaluator


@dataclass(frozen=True)
class EvaluateJob(WordJob):
    """What the command line asked for; None where nothing was said."""

    model: str
    table: str
    partials: bool = False
    threads: int | None = None
    hypotheses: str | None = None
    confusion: str | None = None
    json: bool = False


def run(job: EvaluateJob) -> int:
    """Evaluate and print; hypotheses of what was done are saved even if it ends early.

    Raises:
        TransducerError: wrong usage, or a recording that cannot be read: rates over a part would mislead.
    """
    options = word_options(job) | ({"partials": True} if job.partials else {})
    set_threads(job.threads)
    model = transducer.load(job.model)
    evaluator = Evaluator(model, **options)
    _check_options(job, evaluator)
    table = evaluator.read_table(job.table)
    for line in evaluator.warnings(table):
        report("warning", line)
    saved = True
    try:
        with _progress("items", len(table.items)) as advance:
            summary = evaluator.run(table, lambda item: advance())
    finally:
        if job.hypotheses is not None:
            saved = _save(evaluator.write_hypotheses, job.hypotheses)
    write_stdout(json.dumps(summary) + "\n" if job.json else _table(summary))
    if job.confusion is not None:
        saved = _save(lambda path: _draw(evaluator, path), job.confusion) and saved
    return 0 if saved else 1


def _check_options(job: EvaluateJob, evaluator: Evaluator) -> None:
    for name in () if evaluator.words else (*WORD_OPTIONS, "partials"):
        if getattr(job, name) not in (None, False):
            raise UsageError(
                f"--{name.replace('_', '-')} is for models of words; {job.model} writes {evaluator.results.kind}"
            )
    if job.hypotheses is not None:
        if not hasattr(evaluator.results, "rows"):
            raise UsageError(f"--hypotheses is for models of words; {job.model} writes {evaluator.results.kind}")
        path = Path(job.hypotheses)
        if path.is_dir():
            raise UsageError(f"{path}: is a folder; --hypotheses needs a file")
        if path.is_file() or not path.exists():
            require_folder(path.parent, "--hypotheses")
    if job.confusion is not None:
        if not hasattr(evaluator.results, "confusion"):
            raise UsageError(f"--confusion is for models of labels; {job.model} writes {evaluator.results.kind}")
        _check_picture(Path(job.confusion))


def _check_picture(path: Path) -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UsageError("--confusion needs matplotlib: pip install matplotlib") from None
    if path.is_dir() or path.suffix.lower() != ".png":
        raise UsageError(f"{path}: --confusion needs the name of a .png file")
    require_folder(path.parent, "--confusion")


def _save(write: Callable[[str], None], path: str) -> bool:
    try:
        write(path)
    except OSError as error:
        report("error", f"{path}: cannot be written: {error.strerror}")
        return False
    return True


def _draw(evaluator: Evaluator, path: str) -> None:
    from transducer.evaluation.confusion import write_confusion_matrix

    results: Any = evaluator.results
    write_confusion_matrix(results.confusion(), results.labels, path, evaluator.model.name)


_RATES = {
    "wer": "WER",
    "cer": "CER",
    "frame_accuracy": "frame accuracy",
    "clip_accuracy": "clip accuracy",
    "exact": "exact",
    "token_error_rate": "token error rate",
    "accuracy": "accuracy",
    "f1": "F1",
    **{f"f1@{share}": f"segment F1@{share}" for share in (10, 25, 50)},
    **{f"map@{frames}": f"mAP, within {frames} frames" for frames in (0, 1, 2, 5)},
    **{
        f"{key}@{frames}": f"{name}, within {frames} frames"
        for frames in (0, 2)
        for key, name in (("precision", "precision"), ("recall", "recall"), ("f1", "F1"))
    },
}
_NUMBERS = {"mean_absolute_error": "mean absolute error", "rmse": "root mean squared error", "r2": "R2"}
_COUNTS = ("words", "insertions", "deletions", "substitutions", "tokens", "pairs", "clips", "frames", "steps")


def _table(summary: dict[str, Any]) -> str:
    """What there is of all measures, a line each."""

    def percent(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.2f} %"

    rows = [("perplexity", f"{summary['perplexity']:.3f}")] if summary.get("perplexity") else []
    numbers = {"": summary, **summary.get("numbers", {})}
    for name, measured in numbers.items() if "rmse" in summary else ():
        shown = [f"{measured[key]:.4g}" if measured[key] is not None else "-" for key in _NUMBERS]
        rows += [
            (f"{text} of {name}" if name else text, value) for text, value in zip(_NUMBERS.values(), shown, strict=True)
        ]
    rows += [(name, percent(summary[key])) for key, name in _RATES.items() if key in summary]
    precision = summary.get("average_precision", {})
    for label in next(iter(precision.values()), {}):
        rows.append((f"  {label}", ", ".join(percent(row[label]) for row in precision.values())))
    if "false_alarms_per_minute" in summary:
        rows.append(("false alarms", f"{summary['false_alarms_per_minute']:.2f} a minute"))
    rows += [(name, f"{summary[name]:,}") for name in _COUNTS if name in summary]
    medium = next((name for name in ("audio", "video") if f"{name}_seconds" in summary), "")
    length = summary[f"{medium}_seconds"] if medium else 0.0
    if medium:
        rows.append((medium, f"{length:.1f} s"))
    for name in ("cpu", "wall"):
        seconds = summary[f"{name}_seconds"]
        rows.append((name, f"{seconds:.1f} s" + (f", {seconds / length:.4f} s a second of {medium}" if length else "")))
    width = max(len(name) for name, _ in rows) + 2
    return "".join(f"{name:{width}}{value}\n" for name, value in rows)


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error, where that is a terminal; gives what takes it one further."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
