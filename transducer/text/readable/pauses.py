"""What pauses between words say about punctuation: `pauses.json` in the checkpoint of a model of readable text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transducer.errors import CheckpointError
from transducer.text.json_file import read_json, write_json
from transducer.text.readable.labels import MARKS

PAUSES = "pauses.json"
_MOST = 100.0  # a score so far from 0 would decide alone


@dataclass(frozen=True)
class Pauses:
    """What a pause after a word says about the mark there.

    Attributes:
        edges: seconds, ascending; a pause of less than the first falls into bucket 0, and so on.
        scores: for each bucket, what to add to the log-probability of each mark: log p(pause | mark) / p(pause). The
            last bucket is that of a segment's end.
    """

    edges: tuple[float, ...] = ()
    scores: tuple[tuple[float, ...], ...] = ((0.0,) * len(MARKS),) * 2

    def __post_init__(self) -> None:
        if list(self.edges) != sorted(set(self.edges)) or not all(0 < edge < _MOST for edge in self.edges):
            raise ValueError("edges of pauses must be seconds that rise")
        if [len(row) for row in self.scores] != [len(MARKS)] * (len(self.edges) + 2):
            raise ValueError(f"pauses need {len(self.edges) + 2} buckets with scores of {len(MARKS)} marks")
        if not all(abs(score) < _MOST for row in self.scores for score in row):
            raise ValueError("scores of pauses must be small numbers")

    def of(self, seconds: float) -> tuple[float, ...]:
        """Scores for a pause inside a segment."""
        return self.scores[sum(seconds >= edge for edge in self.edges)]

    @property
    def of_end(self) -> tuple[float, ...]:
        """Scores for the pause that ends a segment."""
        return self.scores[-1]

    def save(self, folder: str | Path) -> None:
        """Write the file into a checkpoint folder. Raises OSError as from writing."""
        write_json(Path(folder, PAUSES), asdict(self))

    @classmethod
    def load(cls, folder: str | Path) -> Pauses:
        """From a checkpoint folder; without the file, pauses say nothing. Raises CheckpointError for a damaged one."""
        path = Path(folder, PAUSES)
        if not path.exists():
            return cls()
        document = read_json(path)
        try:
            if document.keys() != {"edges", "scores"}:
                raise ValueError("it must have edges and scores")
            return cls(_numbers(document["edges"]), tuple(map(_numbers, _list(document["scores"]))))
        except ValueError as error:
            raise CheckpointError(f"{path} is damaged: {error}") from None


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("edges and scores must be lists")
    return value


def _numbers(value: Any) -> tuple[float, ...]:
    if not all(type(number) in (int, float) for number in _list(value)):
        raise ValueError("edges and scores must be numbers")
    return tuple(map(float, value))
