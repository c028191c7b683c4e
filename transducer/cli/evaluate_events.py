"""`transducer evaluate` of a model for video: how right its labels are on a table of clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transducer.cli.console import report, write_stdout
from transducer.cli.outputs import require_folder
from transducer.data.table import read_table
from transducer.errors import UsageError
from transducer.evaluation.clips import TOLERANCES, ClipEvaluation, evaluate_clips

_SPEECH_ONLY = ("search", "beam", "chunk_ms", "hotwords", "hypotheses")


def run(job: Any, model: Any) -> int:
    """Evaluate and print.

    Args:
        job: an `EvaluateJob`; model: what transducer.load returned.

    Raises:
        TransducerError: wrong usage, or a clip that cannot be read: rates over a part would mislead.
    """
    for name in _SPEECH_ONLY:
        if getattr(job, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} is for models of speech, {model.name} is one for video")
    labels = model.labeller().labels[1:]
    table = read_table(job.table, labels=labels)
    if job.confusion is not None:
        _check_picture(Path(job.confusion), labels)
    from transducer.cli.evaluate import progress

    with progress("clips", len(table.items)) as advance:
        evaluation = evaluate_clips(model, table, lambda clip: advance())
    summary = evaluation.summary()
    write_stdout(json.dumps(summary) + "\n" if job.json else _table(summary))
    return 0 if job.confusion is None or _draw(evaluation, job.confusion, model.name) else 1


def _check_picture(path: Path, labels: tuple[str, ...]) -> None:
    if not labels:
        raise UsageError("--confusion is for models of labels; this one writes sequences")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UsageError("--confusion needs matplotlib: pip install matplotlib") from None
    if path.is_dir() or path.suffix.lower() != ".png":
        raise UsageError(f"{path}: --confusion needs the name of a .png file")
    require_folder(path.parent, "--confusion")


def _draw(evaluation: ClipEvaluation, path: str, title: str) -> bool:
    from transducer.evaluation.confusion import write_confusion_matrix

    try:
        write_confusion_matrix(evaluation.confusion(), evaluation.labels, path, title)
    except OSError as error:
        report("error", f"{path}: cannot be written: {error.strerror}")
        return False
    return True


def _table(summary: dict[str, Any]) -> str:
    def percent(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.1f} %"

    names = {
        "frame_accuracy": "frame accuracy",
        "clip_accuracy": "clip accuracy",
        "token_error_rate": "token error rate",
        **{f"f1@{share}": f"segment F1@{share}" for share in (10, 25, 50)},
        **{f"map@{frames}": f"mAP, within {frames} frames" for frames in TOLERANCES},
        **{
            f"{kind}@{frames}": f"{kind}, within {frames} frames"
            for kind in ("precision", "recall")
            for frames in (0, 2)
        },
        **{f"f1@{frames}": f"F1, within {frames} frames" for frames in (0, 2)},
    }
    rows = [(text, percent(summary[key])) for key, text in names.items() if key in summary]
    for label in summary.get("average_precision", {}).get("@2", {}):
        scores = (summary["average_precision"][f"@{frames}"][label] for frames in TOLERANCES)
        rows.append((f"  {label}", ", ".join(map(percent, scores))))
    if "false_alarms_per_minute" in summary:
        rows.append(("false alarms", f"{summary['false_alarms_per_minute']:.2f} a minute"))
    frames, cpu = summary["frames"], summary["cpu_seconds"]
    rows.append(("clips", f"{summary['clips']}, {frames} frames, {summary['video_seconds']:.1f} s"))
    rows.append(("speed", f"{frames / max(cpu, 1e-3):.0f} frames a CPU second, decoding included"))
    return "".join(f"{name:26}{value}\n" for name, value in rows)
