"""A model against a table: any medium, any head."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transducer.atomic import atomic_write
from transducer.data.fingerprint import trained_on
from transducer.data.item import Item
from transducer.data.table import Table, read_table
from transducer.errors import TransducerError, UsageError
from transducer.evaluation.results import KINDS, Results


def what_it_writes(model: Any) -> tuple[str, tuple[str, ...]]:
    """ "words" and no labels, or the kind of a model's events and its labels, the background first."""
    rules = getattr(getattr(model, "config", None), "events", None)
    if rules is not None and rules.kind == "sequence":
        return "sequence", ()  # words that are read as events: compared as they are
    facts = model.info()
    if "events_kind" not in facts:
        return "words", ()
    labels = facts.get("labels", ())
    return facts["events_kind"], ("", *labels) if labels else ()


class Evaluator:
    """Runs a model on the items of a table one by one; what was done so far is at hand whenever it ends.

    Args:
        model: what transducer.load returned.
        options: for its `transcribe`, or its `label`.

    Attributes:
        results: by kind of what the model writes, see `transducer.evaluation.results`.
        cpu_seconds: of all threads of this process, decoding the media included, loading the model not.
        wall_seconds: for the same work.
    """

    def __init__(self, model: Any, **options: Any) -> None:
        self.model = model
        self.options = options
        kind, labels = what_it_writes(model)
        self.results: Results = KINDS[kind](kind, labels)
        self.cpu_seconds = self.wall_seconds = 0.0

    @property
    def words(self) -> bool:
        """Whether the model writes words, and has the options of `transcribe`."""
        return self.results.kind == "words"

    def read_table(self, path: str | os.PathLike[str]) -> Table:
        """A table that has what this model is measured on, with no other labels than the model's.

        Raises:
            UsageError: see `transducer.data.table.read_table`.
        """
        return read_table(Path(path), needs=self.results.needs, labels=self.results.labels[1:])

    def warnings(self, table: Table) -> list[str]:
        """What people should know before they believe the rates, a line each."""
        seen = trained_on(
            getattr(getattr(self.model, "config", None), "card", {}).get("trained_items", ""), table.items
        )
        if not seen:
            return list(table.warnings)
        count = f"{len(seen)} of its {len(table.items)} items" if len(seen) > 1 else "one of its items"
        return [
            *table.warnings,
            f"{table.path}: the model was trained on {count}, such as {seen[0].name}: the rates tell nothing of others",
        ]

    def run(self, table: Table, each: Callable[[Item], None] | None = None) -> dict[str, Any]:
        """Measure the items, calling `each` after every one; the summary.

        Raises:
            TransducerError: an item cannot be read, or does not fit its labels; with the table's line. Rates over
                the others would mislead.
        """
        for item in table.items:
            cpu, wall = time.process_time(), time.perf_counter()
            try:
                found = self._find(item.path)
            except TransducerError as error:
                raise type(error)(f"{table.path}, line {item.line}: {error}") from error
            self.cpu_seconds += time.process_time() - cpu
            self.wall_seconds += time.perf_counter() - wall
            self.results.add(table, item, found)
            if each is not None:
                each(item)
        return self.summary()

    def _find(self, path: Path) -> Any:
        if self.words:
            return self.model.transcribe(path, **self.options)
        return self.model.label(path, frames=True, **self.options)

    def summary(self) -> dict[str, Any]:
        """The measures, fractions and counts; seconds of media, CPU and wall. None where nothing is to measure."""
        medium = getattr(self.model, "medium", None)
        sound = self.words if medium is None else medium.name == "samples"
        return self.results.measures() | {
            "audio_seconds" if sound else "video_seconds": round(self.results.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "wall_seconds": round(self.wall_seconds, 3),
        }

    def write_hypotheses(self, path: str | os.PathLike[str]) -> None:
        """Write a table with path, reference, hypothesis, both texts as they were compared.

        Raises:
            OSError: the file cannot be written; nothing is left of it. UsageError: the model writes no texts.
        """
        rows = getattr(self.results, "rows", None)
        if rows is None:
            raise UsageError(f"a model of {self.results.kind} has no hypotheses")
        with atomic_write(path) as file:
            file.write("path\treference\thypothesis\n")
            for row in rows():
                file.write("\t".join(row) + "\n")
