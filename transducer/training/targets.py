"""What a batch is to be trained towards: token lists, and labels of frames."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from transducer.atomic import atomic_write
from transducer.data.loader import Batch
from transducer.errors import UsageError
from transducer.text.tokenizers.symbols import Symbols
from transducer.text.tokenizers.tokenizer import Tokenizer

IGNORE = -100  # label of frames that no loss is taken on, torch's own value for it


class Alignment(NamedTuple):
    """Which token an utterance holds when: (N,) each, times in seconds at the original speed; 0 is silence."""

    tokens: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def frame_labels(self, frames: int, seconds_per_frame: float, speed: float) -> np.ndarray:
        """(frames,) int64: the token at the middle of every frame of the recording played at `speed`."""
        middle = (np.arange(frames) + 0.5) * seconds_per_frame * speed
        row = np.searchsorted(self.ends, middle, side="right")
        inside = row < len(self.ends)
        row = np.minimum(row, len(self.ends) - 1)
        return np.where(inside & (self.starts[row] <= middle), self.tokens[row], 0)


_SILENCE = {"sil": 0, "sp": 0, "spn": IGNORE}  # pauses, and speech that nobody could make out


def read_alignments(path: str | Path, phones: Symbols) -> dict[str, Alignment]:
    """A table of phone alignments: columns utterance, phones, starts, ends. Stress marks are dropped.

    Raises:
        UsageError: no such table, a missing column, an unknown phone, or times that do not fit the phones.
    """
    numbers = {phone: number for number, phone in enumerate(phones.tokens)}
    result = {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except OSError as error:
        raise UsageError(f"{path}: cannot read the alignments: {error.strerror}") from error
    if rows and (missing := {"utterance", "phones", "starts", "ends"} - rows[0].keys()):
        raise UsageError(
            f"{path}: no column {', '.join(sorted(missing))}; alignments need utterance, phones, starts, ends"
        )
    for row in rows:
        labels = []
        for phone in row["phones"].split():
            label = _SILENCE.get(phone.lower(), numbers.get(re.sub(r"\d", "", phone)))
            if label is None:
                raise UsageError(f"{path}: unknown phone {phone!r} in utterance {row['utterance']}")
            labels.append(label)
        starts, ends = (np.array(row[key].split(), dtype=np.float64) for key in ("starts", "ends"))
        if not len(labels) == len(starts) == len(ends) > 0:
            raise UsageError(f"{path}: phones and times of utterance {row['utterance']} are not equally many")
        result[row["utterance"]] = Alignment(np.array(labels), starts, ends)
    return result


def write_alignments(path: str | Path, alignments: Mapping[str, Alignment], phones: Symbols) -> None:
    """Write a table that `read_alignments` reads."""
    with atomic_write(path) as file:
        file.write("utterance\tphones\tstarts\tends\n")
        for name, (tokens, starts, ends) in alignments.items():
            spelled = ("spn" if t == IGNORE else phones.tokens[t] if t else "sil" for t in tokens.tolist())
            times = "\t".join(" ".join(f"{value:.3f}" for value in column) for column in (starts, ends))
            file.write(f"{name}\t{' '.join(spelled)}\t{times}\n")


class Targets:
    """Makes targets for batches.

    Args:
        units: name -> tokenizer.
        pronunciations: word -> phones, for the units called "phones".
        alignments: utterance id -> Alignment, for frame labels.

    Attributes:
        models: name of units -> probabilities of their tokens in context, for the "crf" losses.
    """

    def __init__(
        self,
        units: Mapping[str, Tokenizer],
        pronunciations: Mapping[str, Sequence[str]] | None = None,
        alignments: Mapping[str, Alignment] | None = None,
    ):
        self.units = units
        self.pronunciations = pronunciations or {}
        self.alignments = dict(alignments or {})
        self.models: dict[str, Tensor] = {}

    def tokens(self, text: str, units: str) -> list[int] | None:
        """Token ids of a text; None where a word has no known pronunciation."""
        if units != "phones":
            return self.units[units].encode(text)
        words = text.split()
        if any(word not in self.pronunciations for word in words):
            return None
        return self.units["phones"].encode(" ".join(" ".join(self.pronunciations[word]) for word in words))

    def frame_labels(self, batch: Batch, lengths: Tensor, frames: int, seconds_per_frame: float) -> Tensor:
        """(B, frames) int64; IGNORE where an utterance has no alignment, and beyond its end.

        Args:
            lengths: (B,) of the batch, in frames.
        """
        labels = np.full((len(batch.ids), frames), IGNORE)
        for row, (name, length, speed) in enumerate(
            zip(batch.ids, lengths.tolist(), batch.speeds.tolist(), strict=True)
        ):
            if name in self.alignments:
                labels[row, :length] = self.alignments[name].frame_labels(length, seconds_per_frame, speed)
        return torch.from_numpy(labels)
