"""Words and phrases that are to be expected, with weights: a list in a program, or a file of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable, Mapping
from numbers import Real
from typing import NamedTuple

from transducer.errors import UsageError
from transducer.text.english.normalise import normalise

WEIGHT = 6.0  # of a phrase that has none of its own: 400 times as likely as the language model thinks
_MOST = 100.0
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)

# Letters that are no letter of the alphabet with an accent, as English spells them in names: Soren, Grossmann, Thor.
_LATIN = str.maketrans(
    {"ø": "o", "ß": "ss", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ł": "l", "đ": "d", "ħ": "h", "ı": "i", "ŋ": "ng"}
)


class Hotword(NamedTuple):
    """A phrase and what one adds to the log-score of a hypothesis that has it; 0 only makes its words known.

    `where` it was read, for messages.
    """

    phrase: str
    weight: float = WEIGHT
    where: str = ""

    def error(self, message: str) -> UsageError:
        return UsageError(f"{self.where}: {message}" if self.where else message)


# What is taken for a list of hotwords.
Hotwords = Iterable[str | tuple[str, float] | Hotword] | Mapping[str, float]


def unique_phrases(hotwords: Hotwords) -> dict[tuple[str, ...], Hotword]:
    """Words of each phrase, normalised -> the phrase; of equal phrases the one with the largest weight.

    Raises:
        UsageError: no list, no phrase, a phrase without words, or a weight that is no number or beyond all measure.
    """
    if isinstance(hotwords, str) or not isinstance(hotwords, Iterable):
        raise UsageError(f'hotwords must be a list of phrases, such as ["kitchen table"]; got {hotwords!r}')
    found: dict[tuple[str, ...], Hotword] = {}
    for entry in hotwords.items() if isinstance(hotwords, Mapping) else hotwords:
        hotword = _checked(entry)
        words = tuple(normalise(hotword.phrase).split())
        if not words:
            raise hotword.error(f"a hotword needs letters, got {hotword.phrase!r}")
        if words not in found or hotword.weight > found[words].weight:
            found[words] = hotword
    return found


def _checked(entry: object) -> Hotword:
    if isinstance(entry, str):
        return Hotword(entry)
    if not isinstance(entry, tuple | list) or not 2 <= len(entry) <= 3 or not isinstance(entry[0], str):
        raise UsageError(f"a hotword must be a phrase, or a phrase and its weight; got {entry!r}")
    hotword = Hotword(*entry)
    weight = hotword.weight
    # NaN is not between anything.
    if isinstance(weight, bool) or not isinstance(weight, Real) or not -_MOST <= weight <= _MOST:
        raise hotword.error(
            f"the weight of the hotword {hotword.phrase!r} must be a number of at most {_MOST:g}, got {weight!r}"
        )
    return hotword._replace(weight=float(weight))


def latin_letters(word: str, alphabet: Container[str]) -> str:
    """A word in the letters of an alphabet, as far as others have a usual spelling in it; without accents."""
    plain = ""
    for letter in word:
        if letter in alphabet:
            plain += letter
        else:
            parts = unicodedata.normalize("NFKD", letter.translate(_LATIN))
            plain += "".join(part for part in parts if not unicodedata.combining(part)).translate(_LATIN)
    return plain


def read_hotwords(path: str) -> list[Hotword]:
    """A file of phrases, one a line, with a tab or a space and a weight behind those that have one of their own.

    Empty lines are left out, and so is what stands behind a #.

    Raises:
        UsageError: the file cannot be read, or a line holds no phrase, or no number as its weight.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:  # Windows puts a byte order mark before the first line
            lines = file.read().splitlines()
    except OSError as error:
        raise UsageError(f"{path}: cannot read the hotwords ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: hotwords must be UTF-8 text, a word or phrase a line") from None
    found = []
    for number, line in enumerate(lines, start=1):
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        if not text:
            continue
        where = f"{path}, line {number}"
        # Without a tab a number is a weight all the same: words have no digits.
        phrase, _, weight = text.rpartition("\t" if "\t" in text else " ")
        if "\t" not in text and not _NUMBER.fullmatch(weight):
            phrase, weight = text, ""
        phrase, weight = phrase.strip(), weight.strip()
        if weight and not _NUMBER.fullmatch(weight):
            raise UsageError(f"{where}: {weight!r} is no weight; write PHRASE, a tab, and a number")
        hotword = Hotword(phrase, float(weight) if weight else WEIGHT, where)
        unique_phrases([hotword])
        found.append(hotword)
    return found
