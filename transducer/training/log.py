"""What a run writes down as it goes: `log.jsonl` for the plots and for a resumed run, and TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from transducer.atomic import atomic_write


class Log:
    """Appends every report to a file of JSON lines: the phase, the step and the numbers.

    `tensorboard`, where given, is a folder; it is used if TensorBoard is installed.
    """

    def __init__(self, path: Path, phase: str, offset: int = 0, tensorboard: Path | None = None):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.phase, self.offset = path, phase, offset
        self._writer = _summary_writer(tensorboard) if tensorboard else None

    def __call__(self, step: int, numbers: dict[str, float]) -> None:
        with open(self.path, "a") as file:
            file.write(json.dumps({"phase": self.phase, "step": step, **numbers}) + "\n")
        if self._writer:
            for name, value in numbers.items():
                # A colon parts a loss from its decoder; TensorBoard groups by slashes.
                tag = name.replace(":", "/") if ":" in name else f"training/{name}"
                self._writer.add_scalar(tag, value, self.offset + step)

    def rewind(self, step: int) -> None:
        """Drop what was logged of this phase after a step: it is about to happen again."""
        rows = read_log(self.path)
        kept = [row for row in rows if row["phase"] != self.phase or row["step"] <= step]
        if len(kept) < len(rows):
            with atomic_write(self.path) as file:
                file.writelines(json.dumps(row) + "\n" for row in kept)

    def close(self) -> None:
        if self._writer:
            self._writer.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The reports in a log, in order; a last line that was broken off is left out."""
    return list(_rows(path.read_text().splitlines())) if path.exists() else []


def _rows(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            continue


def _summary_writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
