"""A model against recordings and what is said in them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from transducer.atomic import atomic_write
from transducer.data.item import Item
from transducer.errors import TransducerError
from transducer.evaluation.wer import ErrorCounts, count_errors
from transducer.text.english.normalise import normalise


@dataclass(frozen=True)
class Evaluation:
    """What was heard, utterance by utterance, and what it cost.

    Attributes:
        utterances, hypotheses: in the order of the table.
        audio_seconds: length of all recordings.
        cpu_seconds: of all threads of this process, decoding the media included, loading the model not.
        wall_seconds: for the same work.
    """

    utterances: tuple[Item, ...]
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


class Evaluator:
    """Transcribes utterances one by one; what was done so far is at hand whenever it ends.

    Args:
        model: what transducer.load returned.
        options: for its `transcribe`.
    """

    def __init__(self, model: Any, **options: Any) -> None:
        self._model = model
        self._options = options
        self._utterances: list[Item] = []
        self._hypotheses: list[str] = []
        self._audio = self._cpu = self._wall = 0.0

    def run(self, utterances: Iterable[Item], each: Callable[[Item], None] | None = None) -> Evaluation:
        """Transcribe the utterances, calling `each` after every one.

        Raises:
            TransducerError: from reading a recording, with the table's line added.
        """
        for utterance in utterances:
            cpu, wall = time.process_time(), time.perf_counter()
            try:
                transcript = self._model.transcribe(utterance.path, **self._options)
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
            file.write(f"{utterance.name}\t{normalise(utterance.text)}\t{normalise(hypothesis)}\n")
