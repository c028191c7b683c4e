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
from transducer.data.pair_table import check_known, has_pairs, read_pairs, read_texts
from transducer.data.table import Table, read_table
from transducer.errors import TransducerError, UsageError
from transducer.evaluation.results import KINDS, Results, Texts
from transducer.media.counted import counts_steps
from transducer.search.events.rules import OF_NUMBERS

INPUTS = {"tokens": "text", "rows": "series", "samples": "sound"}  # name of a medium -> kind of x in a table of pairs
TASKS = {
    "words": "n2m",
    "texts": "n2m",
    "sequence": "n2m",
    "clip": "n21",
    "whole_numbers": "n21",
}  # of what a model writes; others: "n2n"


def what_it_writes(model: Any) -> tuple[str, tuple[str, ...]]:
    """ "words" (of speech), "texts" or "language" and no labels; or the kind of a model's events and its labels, the
    background first."""
    if _is_language_model(model):
        return "language", ()
    rules = getattr(getattr(model, "config", None), "events", None)
    if rules is not None and rules.kind == "sequence":
        return "sequence", ()  # words that are read as events: compared as they are
    facts = model.info()
    if "events_kind" not in facts:
        return "words" if getattr(model, "medium", None) is None or model.medium.name == "samples" else "texts", ()
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
        if isinstance(self.results, Texts):
            self.results.characters = _writes_characters(model)
        self.cpu_seconds = self.wall_seconds = 0.0

    @property
    def words(self) -> bool:
        """Whether the model writes words, and has the options of `transcribe`."""
        return self.results.kind in ("words", "texts")

    def read_table(self, path: str | os.PathLike[str]) -> Table:
        """A table that has what this model is measured on, with no other labels than the model's: of files, or of pairs
        (x, y).

        Raises:
            UsageError: see `transducer.data.table.read_table` and `transducer.data.pair_table.read_pairs`.
        """
        medium = getattr(self.model, "medium", None)
        if self.results.kind == "language":
            return read_texts(Path(path))
        as_pairs = self.results.kind in OF_NUMBERS or (medium is not None and medium.name in ("tokens", "rows"))
        if medium is not None and (as_pairs or has_pairs(Path(path))):
            return self._read_pairs(Path(path), medium)
        return read_table(Path(path), needs=self.results.needs, labels=self.results.labels[1:])

    def _read_pairs(self, path: Path, medium: Any) -> Table:
        kind = self.results.kind
        by_step = medium.name == "tokens" and TASKS.get(kind, "n2n") == "n2n"
        pairs = read_pairs(
            path,
            task=TASKS.get(kind, "n2n"),
            kind=INPUTS.get(medium.name),
            columns=medium.columns if medium.name == "rows" else None,
            steps=("words" if medium.tokenizer.kind == "symbols" else "characters") if by_step else "",
            fewest=1,
            output="numbers" if kind in OF_NUMBERS else "labels",
        )
        names = self.results.labels[1:]
        if pairs.numbers and len(pairs.numbers) != len(names):
            line = pairs.table.items[0].line
            raise pairs.table.problem(line, f"y has {len(pairs.numbers)} numbers, and the model gives {len(names)}")
        check_known(pairs, names)
        return pairs.table

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
                found = self._find(item.path if item.x is None else item.x)
            except TransducerError as error:
                raise type(error)(f"{table.path}, line {item.line}: {error}") from error
            self.cpu_seconds += time.process_time() - cpu
            self.wall_seconds += time.perf_counter() - wall
            self.results.add(table, item, found)
            if each is not None:
                each(item)
        return self.summary()

    def _find(self, x: Any) -> Any:
        if self.results.kind == "language":
            return self.model.language_model().score(x)
        if self.words:
            return self.model.transcribe(x, **self.options)
        return self.model.label(x, frames=True, **self.options)

    def summary(self) -> dict[str, Any]:
        """The measures, fractions and counts; seconds of media (or steps, where there are none), CPU and wall. None
        where nothing is to measure."""
        medium = getattr(self.model, "medium", None)
        sound = self.words if medium is None else medium.name == "samples"
        seconds = round(self.results.seconds, 3)
        length = {"audio_seconds" if sound else "video_seconds": seconds}
        return self.results.measures() | {
            **({"steps": int(seconds)} if counts_steps(medium) else length),
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


def _is_language_model(model: Any) -> bool:
    config = getattr(model, "config", None)
    return (
        config is not None and getattr(next(iter(getattr(config, "heads", {}).values()), None), "tag", "") == "language"
    )


def _writes_characters(model: Any) -> bool:
    """Whether a token of what is compared is a character, as for the model itself; else it is a word."""
    head = next(iter(model.config.heads.values()))
    return model.units[head.units].kind in ("characters", "bytes")
