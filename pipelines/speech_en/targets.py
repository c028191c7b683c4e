"""What recordings are to be trained towards: tokens, by way of a pronouncing dictionary, and labels of frames."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from transducer.atomic import atomic_write
from transducer.errors import UsageError
from transducer.text.english.lexicon import Pronunciations, load_pronunciations, read_cmudict, save_pronunciations
from transducer.text.tokenizers.symbols import Symbols
from transducer.text.tokenizers.tokenizer import Tokenizer

PHONES = "phones"
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


# For words that a dictionary lacks: (words, dictionary) -> word -> pronunciations, the likeliest first.
Pronounce = Callable[[Sequence[str], Pronunciations], Pronunciations]


class Targets:
    """Makes targets of texts.

    Args:
        units: name -> tokenizer. Those called "phones" are spelled by way of pronunciations.
        pronunciations: word -> phones.
        alignments: utterance id -> Alignment, for frame labels.
    """

    def __init__(
        self,
        units: Mapping[str, Tokenizer],
        pronunciations: Mapping[str, Sequence[str]] | None = None,
        alignments: Mapping[str, Alignment] | None = None,
    ):
        self.units = units
        self.pronunciations = dict(pronunciations or {})
        self.alignments = dict(alignments or {})

    def tokens(self, text: str, units: str) -> list[int] | None:
        """Token ids of a text; None where a word has no known pronunciation."""
        if units != PHONES:
            return self.units[units].encode(text)
        words = text.split()
        if any(word not in self.pronunciations for word in words):
            return None
        return self.units[PHONES].encode(" ".join(" ".join(self.pronunciations[word]) for word in words))

    def learn(self, texts: Iterable[str], lexicon: Path | None, pronounce: Pronounce | None, cache: Path) -> None:
        """Look up the likeliest pronunciation of every word, in the dictionary or, for others, by `pronounce`."""
        if lexicon is None or not lexicon.is_file():
            raise UsageError(f"phones need a pronouncing dictionary: no such file: {lexicon}")
        words = sorted({word for text in texts for word in text.split()} - self.pronunciations.keys())
        if not words:
            return
        dictionary = read_cmudict(lexicon)
        unknown = [word for word in words if word not in dictionary]
        others: Pronunciations = {}
        if pronounce and unknown:
            # Kept like features, because it may take minutes.
            key = [getattr(pronounce, "__qualname__", ""), lexicon.stat().st_size, unknown]
            path = cache / f"pronunciations-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}.txt.z"
            if not path.exists():
                cache.mkdir(parents=True, exist_ok=True)
                save_pronunciations(path, pronounce(unknown, dictionary))
            others = load_pronunciations(path)
        for word in words:
            if found := dictionary.get(word) or others.get(word):
                self.pronunciations[word] = list(found[0])
