"""What a model wrote against what a table says, by kind: words, labels of steps, events, one label, texts, numbers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.data.clips import check_labels, event_frames, frame_labels
from transducer.data.item import Item
from transducer.data.table import Table
from transducer.evaluation.confusion import confusion_matrix
from transducer.evaluation.events import (
    Spot,
    frame_accuracy,
    mean_average_precision,
    segment_f1,
    spot_f1,
    spots_of_events,
    spots_of_scores,
    stretches,
)
from transducer.evaluation.transitions import Interval, TransitionScores, score_transitions
from transducer.evaluation.wer import ErrorCounts, count_errors
from transducer.results import Labelling, Transcript
from transducer.text.english.normalise import normalise

TOLERANCES = (0, 1, 2, 5)  # frames


class Results(ABC):
    """What was found in the items so far, and what is there.

    Attributes:
        kind: what the model writes: "words" of speech, "texts", or a kind of events, see `EventRules`.
        labels: that the model has, the background first; empty for words and sequences.
        needs: what a table must have.
        seconds: of the media.
    """

    needs: tuple[str, ...] = ("events", "labels")

    def __init__(self, kind: str, labels: tuple[str, ...] = ()) -> None:
        self.kind, self.labels = kind, labels
        self.items: list[Item] = []
        self.seconds = 0.0

    @abstractmethod
    def add(self, table: Table, item: Item, found: Any) -> None:
        """Count what was found in an item. Raises UsageError, with the table's line, if its labels lie outside it."""

    @abstractmethod
    def measures(self) -> dict[str, Any]:
        """Fractions and counts; None where nothing is to measure."""


class _Texts(Results):
    """Sequences of words.

    Attributes:
        hypotheses: as the model wrote them.
    """

    needs = ("text",)

    def __init__(self, kind: str, labels: tuple[str, ...] = ()) -> None:
        super().__init__(kind, labels)
        self.hypotheses: list[str] = []

    def rows(self) -> list[tuple[str, str, str]]:
        """Name, reference and hypothesis of each item, as they are compared."""
        texts = zip(self.items, self.hypotheses, strict=True)
        return [(item.name, self.compared(item.text), self.compared(text)) for item, text in texts]

    def compared(self, text: str) -> str:
        return " ".join(text.split())


class Words(_Texts):
    """Speech, compared in lower case without punctuation."""

    def add(self, table: Table, item: Item, found: Transcript) -> None:
        self.items.append(item)
        self.seconds += found.duration
        self.hypotheses.append(found.text)

    def compared(self, text: str) -> str:
        return normalise(text)

    def errors(self) -> ErrorCounts:
        return count_errors([item.text for item in self.items], self.hypotheses)

    def measures(self) -> dict[str, Any]:
        errors = self.errors()
        names = ("wer", "cer", "words", "insertions", "deletions", "substitutions")
        return {name: getattr(errors, name) for name in names}


class Texts(_Texts):
    """Texts of any length, character by character or word by word, with white space as it is.

    Attributes:
        characters: whether a token is a character; else it is a word.
    """

    characters = False

    def add(self, table: Table, item: Item, found: Transcript) -> None:
        self.items.append(item)
        self.seconds += found.duration
        self.hypotheses.append(found.text)

    def compared(self, text: str) -> str:
        return text.strip()

    def measures(self) -> dict[str, Any]:
        texts = [(item.text, text) for item, text in zip(self.items, self.hypotheses, strict=True)]
        return {"pairs": len(texts), **text_measures(texts, self.characters)}


class Language(Results):
    """How probable a language model finds texts."""

    needs = ("text",)

    def __init__(self, kind: str, labels: tuple[str, ...] = ()) -> None:
        super().__init__(kind, labels)
        self.log_prob, self.tokens = 0.0, 0

    def add(self, table: Table, item: Item, found: Any) -> None:
        self.items.append(item)
        self.log_prob += found.log_prob
        self.tokens += found.tokens
        self.seconds += found.tokens

    def measures(self) -> dict[str, Any]:
        perplexity = math.exp(-self.log_prob / self.tokens) if self.tokens else None
        return {"pairs": len(self.items), "perplexity": perplexity, "tokens": self.tokens}


def text_measures(texts: Sequence[tuple[str, str]], characters: bool = False) -> dict[str, Any]:
    """The share of texts that are right to the last token, and edits over tokens that are right.

    Args:
        texts: what is right, and what was written.
        characters: whether a token is a character, spaces counted; else it is a word.
    """
    from rapidfuzz.distance import Levenshtein

    def tokens(text: str) -> Sequence[str]:
        return " ".join(text.split()) if characters else text.split()

    pairs = [(tokens(right), tokens(said)) for right, said in texts]
    total = sum(len(right) for right, _ in pairs)
    errors = sum(Levenshtein.distance(right, said) for right, said in pairs)
    return {
        "exact": sum(right == said for right, said in pairs) / len(pairs) if pairs else None,
        "token_error_rate": errors / total if total else None,
        "tokens": total,
    }


class _Labels(Results):
    """Labels of any kind."""

    def __init__(self, kind: str, labels: tuple[str, ...] = ()) -> None:
        super().__init__(kind, labels)
        self.frames = 0

    def add(self, table: Table, item: Item, found: Labelling) -> None:
        self.compare(table, item, found)
        self.items.append(item)
        self.frames += found.frames
        self.seconds += found.duration

    @abstractmethod
    def compare(self, table: Table, item: Item, found: Labelling) -> None: ...

    @abstractmethod
    def rates(self) -> dict[str, Any]: ...

    def measures(self) -> dict[str, Any]:
        return {"kind": self.kind, "clips": len(self.items), **self.rates(), "frames": self.frames}


class Sequences(_Labels, _Texts):
    """Words in a row, as they are in the table."""

    needs = ("text",)

    def compare(self, table: Table, item: Item, found: Labelling) -> None:
        self.hypotheses.append(" ".join(event.label for event in found.events))

    def rates(self) -> dict[str, Any]:
        return text_measures([(item.text, text) for item, text in zip(self.items, self.hypotheses, strict=True)])


class _Numbered(_Labels):
    """Labels by their number.

    Attributes:
        truths, guesses: (T,) the label of each step for each item; of models of whole items, (1,).
    """

    def __init__(self, kind: str, labels: tuple[str, ...] = ()) -> None:
        super().__init__(kind, labels)
        self.numbers = {label: number for number, label in enumerate(self.labels)}
        self.truths: list[NDArray[np.int64]] = []
        self.guesses: list[NDArray[np.int64]] = []

    def confusion(self) -> NDArray[np.int64]:
        """(V, V) counts of steps or items, [true, found]."""
        return confusion_matrix(self.truths, self.guesses, len(self.labels))


class Wholes(_Numbered):
    """One label each."""

    needs = ("label",)

    def compare(self, table: Table, item: Item, found: Labelling) -> None:
        self.truths.append(np.array([self.numbers[item.label or ""]]))
        self.guesses.append(np.array([self.numbers[found.segments[0].label]]))

    def rates(self) -> dict[str, Any]:
        accuracy = frame_accuracy(self.truths, self.guesses)
        return {"accuracy": accuracy, "clip_accuracy": accuracy}


class Steps(_Numbered):
    """Labels of steps, and events made of them.

    Attributes:
        true_spots, spots: where events begin, or moments are.
        chosen: those of the spots that are results; of moments, the others are only less probable.
    """

    def __init__(self, kind: str, labels: tuple[str, ...] = ()) -> None:
        super().__init__(kind, labels)
        self.true_spots: list[Spot] = []
        self.spots: list[Spot] = []
        self.chosen: list[Spot] = []

    def compare(self, table: Table, item: Item, found: Labelling) -> None:
        times = found.frame_times or ()
        check_labels(table, item, times, found.fps)
        truth, guess = frame_labels(item, self.numbers, times, found.fps), np.zeros(found.frames, np.int64)
        for event in found.events:
            guess[event.start_frame : event.end_frame + 1] = self.numbers[event.label]
        self.truths.append(truth)
        self.guesses.append(guess)
        if item.events is None:
            self.true_spots += [Spot(item.id, self.labels[run.label], run.start) for run in stretches(truth)]
        else:
            starts = ((mark.label, event_frames(mark, times, found.fps)[0]) for mark in item.events)
            self.true_spots += [Spot(item.id, label, frame) for label, frame in starts]
        self.chosen += spots_of_events(item.id, found.events)
        if self.kind == "peaks":
            self.spots += spots_of_scores(item.id, found.frame_scores or (), self.labels, window=5)
        else:
            self.spots += spots_of_events(item.id, found.events)

    def rates(self) -> dict[str, Any]:
        if self.kind == "steps":
            return {"accuracy": frame_accuracy(self.truths, self.guesses)}
        measured: dict[str, Any] = {}
        if self.kind == "peaks":  # of moments, nearly all frames are background
            measured["f1"] = spot_f1(self.true_spots, self.chosen, tolerance=2)
        else:
            measured["frame_accuracy"] = frame_accuracy(self.truths, self.guesses)
            by_overlap = segment_f1(self.truths, self.guesses)
            measured |= {"f1": by_overlap[50], **{f"f1@{share}": score for share, score in by_overlap.items()}}
        table = mean_average_precision(self.true_spots, self.spots, TOLERANCES)
        measured |= {f"map@{tolerance}": row["map"] for tolerance, row in table.items()}
        measured["average_precision"] = {f"@{tolerance}": row["labels"] for tolerance, row in table.items()}
        return measured


class Transitions(_Numbered):
    """What lies between shots.

    Attributes:
        scores: tolerance in frames -> counts.
    """

    needs = ("events",)

    def __init__(self, kind: str, labels: tuple[str, ...] = ()) -> None:
        super().__init__(kind, labels)
        self.scores = {tolerance: TransitionScores() for tolerance in (0, 2)}

    def compare(self, table: Table, item: Item, found: Labelling) -> None:
        times = found.frame_times or ()
        check_labels(table, item, times, found.fps)
        truths = [Interval(*event_frames(mark, times, found.fps), mark.label) for mark in item.events or ()]
        guesses = [Interval(event.start_frame, event.end_frame, event.label) for event in found.events]
        for tolerance in self.scores:
            self.scores[tolerance] += score_transitions(truths, guesses, tolerance, frames=found.frames)
        for rows, intervals in ((self.truths, truths), (self.guesses, guesses)):
            row = np.zeros(found.frames, np.int64)
            for interval in intervals:  # their first frame is still wholly of the old shot, and has no label
                row[interval.start + 1 : interval.end + 1] = self.numbers[interval.label]
            rows.append(row)

    def rates(self) -> dict[str, Any]:
        measured: dict[str, Any] = {}
        for tolerance, scores in self.scores.items():
            measured |= {f"{name}@{tolerance}": getattr(scores, name) for name in ("precision", "recall", "f1")}
        alarms = self.scores[2].false_alarms
        measured["f1"] = self.scores[2].f1
        return measured | {"false_alarms_per_minute": 60 * alarms / max(self.seconds, 1e-9)}


class Numbers(_Labels):
    """Numbers of steps or of whole items.

    Attributes:
        truths, guesses: (T, V) for each item, one row for a whole; NaN where a number is not known.
    """

    needs = ()

    def __init__(self, kind: str, labels: tuple[str, ...] = ()) -> None:
        super().__init__(kind, labels)
        self.truths: list[NDArray[np.float64]] = []
        self.guesses: list[NDArray[np.float64]] = []

    def compare(self, table: Table, item: Item, found: Labelling) -> None:
        truth = np.array([item.value] if item.values is None else item.values, np.float64)
        guess = np.full(truth.shape, np.nan)
        if item.values is None:
            guess[0] = found.segments[0].values
        elif len(truth) != found.frames:
            raise table.problem(item.line, f"y has numbers for {len(truth)} steps, and the model for {found.frames}")
        for event in found.events:
            guess[event.start_frame : event.end_frame + 1] = event.values
        self.truths.append(truth)
        self.guesses.append(guess)

    def rates(self) -> dict[str, Any]:
        truth, guess = np.concatenate(self.truths), np.concatenate(self.guesses)
        columns = [number_measures(*pair) for pair in zip(truth.T, guess.T, strict=True)]
        if len(columns) == 1:
            return columns[0]
        means: dict[str, Any] = {}
        for name in columns[0]:
            known = [value for column in columns if (value := column[name]) is not None]
            means[name] = sum(known) / len(known) if known else None
        return means | {"numbers": dict(zip(self.labels[1:], columns, strict=True))}


def number_measures(truth: NDArray[np.float64], guess: NDArray[np.float64]) -> dict[str, float | None]:
    """Mean absolute error, root of the mean squared error, and R2, the share of the variance that is explained.

    Args:
        truth, guess: (N,); what is NaN in one of them is left out. R2 is None where all that is true is the same.
    """
    known = ~(np.isnan(truth) | np.isnan(guess))
    right, errors = truth[known], (guess - truth)[known]
    if not len(right):
        return {"mean_absolute_error": None, "rmse": None, "r2": None}
    squares = float(((right - right.mean()) ** 2).sum())
    return {
        "mean_absolute_error": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
        "r2": 1 - float((errors**2).sum()) / squares if squares > 0 else None,
    }


KINDS: dict[str, type[Results]] = {
    "words": Words,
    "texts": Texts,
    "language": Language,
    "spans": Steps,
    "dense": Steps,
    "steps": Steps,
    "peaks": Steps,
    "transitions": Transitions,
    "clip": Wholes,
    "sequence": Sequences,
    "numbers": Numbers,
    "whole_numbers": Numbers,
}
