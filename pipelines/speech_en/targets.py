"""What recordings are to be trained towards: tokens, by way of a pronouncing dictionary where they are phones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from transducer.errors import UsageError
from transducer.text.english.lexicon import Pronunciations, load_pronunciations, read_cmudict, save_pronunciations
from transducer.text.tokenizers.tokenizer import Tokenizer

PHONES = "phones"

# For words that a dictionary lacks: (words, dictionary) -> word -> pronunciations, the likeliest first.
Pronounce = Callable[[Sequence[str], Pronunciations], Pronunciations]


class Targets:
    """Makes targets of texts.

    Args:
        units: name -> tokenizer. Those called "phones" are spelled by way of pronunciations.

    Attributes:
        pronunciations: word -> phones, as far as they have been learned.
    """

    def __init__(self, units: Mapping[str, Tokenizer]):
        self.units = units
        self.pronunciations: dict[str, list[str]] = {}

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
