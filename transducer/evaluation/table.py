"""A model against a table of recordings and what is said in them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transducer.atomic import atomic_write
from transducer.errors import TransducerError, UsageError
from transducer.evaluation.wer import ErrorCounts, count_errors
from transducer.text.english.normalise import normalise


@dataclass(frozen=True)
class Utterance:
    """A row of the table: `path` as written there, `file` where it is, and the reference text."""

    path: str
    file: Path
    text: str
    line: int


@dataclass(frozen=True)
class Evaluation:
    """What was heard, utterance by utterance, and what it cost.

    Attributes:
        utterances, hypotheses: in the order of the table.
        audio_seconds: length of all recordings.
        cpu_seconds: of all threads of this process, decoding the media included, loading the model not.
        wall_seconds: for the same work.
    """

    utterances: tuple[Utterance, ...]
    hypotheses: tuple[str, ...]
    audio_seconds: float
    cpu_seconds: float
    wall_seconds: float

    def errors(self) -> ErrorCounts:
        return count_errors([utterance.text for utterance in self.utterances], self.hypotheses)

    def summary(self) -> dict[str, Any]:
        """wer and cer as fractions (None without reference words), counts, seconds."""
        errors = self.errors()
        return {
            "wer": errors.wer,
            "cer": errors.cer,
            "words": errors.words,
            "insertions": errors.insertions,
            "deletions": errors.deletions,
            "substitutions": errors.substitutions,
            "audio_seconds": round(self.audio_seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "wall_seconds": round(self.wall_seconds, 3),
        }


def read_table(path: str | os.PathLike[str]) -> list[Utterance]:
    """Read a tab-separated table whose header line names at least `path` and `text`.

    Recordings' paths are relative to the table's folder. Quotation marks are ordinary characters.

    Raises:
        UsageError: the table or one of its recordings is not there, a column is missing, a row is short.
    """
    table = Path(path)
    try:
        rows = table.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise UsageError(f"{table}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{table}: not a table in UTF-8") from error
    columns = rows[0].rstrip("\r").split("\t")
    for needed in ("path", "text"):
        if needed not in columns:
            raise UsageError(f"{table}: no column {needed!r}; its header line has {', '.join(map(repr, columns))}")
    utterances = []
    for line, row in enumerate(rows[1:], 2):
        if not row.strip():
            continue
        fields = row.rstrip("\r").split("\t")
        if len(fields) != len(columns):
            raise UsageError(f"{table}, line {line}: {len(fields)} fields, but the header line has {len(columns)}")
        values = dict(zip(columns, fields, strict=True))
        file = table.parent / values["path"]
        if not file.is_file():
            raise UsageError(f"{table}, line {line}: no file {file}")
        utterances.append(Utterance(values["path"], file, values["text"], line))
    if not utterances:
        raise UsageError(f"{table}: no rows after its header line")
    return utterances


class Evaluator:
    """Transcribes utterances one by one; what was done so far is at hand whenever it ends.

    Args:
        model: what transducer.load returned.
        options: for its `transcribe`.
    """

    def __init__(self, model: Any, **options: Any) -> None:
        self._model = model
        self._options = options
        self._utterances: list[Utterance] = []
        self._hypotheses: list[str] = []
        self._audio = self._cpu = self._wall = 0.0

    def run(self, utterances: Iterable[Utterance], each: Callable[[Utterance], None] | None = None) -> Evaluation:
        """Transcribe the utterances, calling `each` after every one.

        Raises:
            TransducerError: from reading a recording, with the table's line added.
        """
        for utterance in utterances:
            cpu, wall = time.process_time(), time.perf_counter()
            try:
                transcript = self._model.transcribe(utterance.file, **self._options)
            except TransducerError as error:
                raise type(error)(f"line {utterance.line} of the table: {error}") from error
            self._cpu += time.process_time() - cpu
            self._wall += time.perf_counter() - wall
            self._audio += transcript.duration
            self._utterances.append(utterance)
            self._hypotheses.append(transcript.text)
            if each is not None:
                each(utterance)
        return self.result()

    def result(self) -> Evaluation:
        """The utterances done so far."""
        return Evaluation(tuple(self._utterances), tuple(self._hypotheses), self._audio, self._cpu, self._wall)


def write_hypotheses(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Write a table with path, reference, hypothesis, both texts as they were compared.

    Raises:
        OSError: the file cannot be written; nothing is left of it.
    """
    with atomic_write(path) as file:
        file.write("path\treference\thypothesis\n")
        for utterance, hypothesis in zip(evaluation.utterances, evaluation.hypotheses, strict=True):
            file.write(f"{utterance.path}\t{normalise(utterance.text)}\t{normalise(hypothesis)}\n")
