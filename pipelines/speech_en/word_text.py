"""Printed English as it is spoken: lower-case words of letters and apostrophes, numbers spelled out.

The conventions are those of the LibriSpeech transcripts: hyphens split words, no leading apostrophes,
"mister" and "missus" in full.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_TITLES = {
    "mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint", "messrs": "messieurs", "mme": "madame",
    "mlle": "mademoiselle", "etc": "et cetera", "viz": "namely", "esq": "esquire", "capt": "captain", "col": "colonel",
    "rev": "reverend", "hon": "honorable", "lieut": "lieutenant", "prof": "professor", "jr": "junior", "vol": "volume",
}  # fmt: skip
_HEADINGS = {"chapter", "book", "part", "volume", "canto", "act", "scene", "letter"}
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
# Editions that lost their apostrophes leave these endings as words of their own.
_ENDINGS = {"s", "t", "ll", "ve", "d", "re", "m"}


def spell_number(n: int) -> str:
    """Cardinal number in words, 0 <= n < 10^12, in the form that readers use ("one hundred and five")."""
    for size, name in ((10**9, "billion"), (10**6, "million"), (1000, "thousand")):
        if n >= size:
            head, rest = f"{spell_number(n // size)} {name}", n % size
            return head if not rest else f"{head} {'and ' if rest < 100 else ''}{spell_number(rest)}"
    if n >= 100:
        head, rest = f"{_UNITS[n // 100]} hundred", n % 100
        return head if not rest else f"{head} and {spell_number(rest)}"
    if n < 20:
        return _UNITS[n]
    return _TENS[n // 10] + (f" {_UNITS[n % 10]}" if n % 10 else "")


def spell_ordinal(n: int) -> str:
    """Ordinal number in words."""
    *head, last = spell_number(n).split()
    last = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return " ".join([*head, last])


def spell_year(n: int) -> str:
    """A year in words: 1842 is "eighteen forty two"."""
    century, rest = divmod(n, 100)
    if rest == 0:
        return f"{spell_number(century)} hundred"
    return f"{spell_number(century)} {'oh ' if rest < 10 else ''}{spell_number(rest)}"


def normalise(line: str) -> list[str]:
    """The words of a line of print; none where it has what can't be read out (mixed letters and digits)."""
    line = unicodedata.normalize("NFKD", line).replace("æ", "ae").replace("œ", "oe").replace("&", " and ")
    line = line.replace("\u2019", "'").replace("\u2018", "'").lower()
    line = "".join(c for c in line if not unicodedata.combining(c))
    line = re.sub(r"(\d),(?=\d{3})", r"\1", line)
    words: list[str] = []
    for token in re.findall(r"[a-z0-9']+", line):
        token = token.strip("'")
        if not token:
            continue
        if token in _ENDINGS and words and words[-1].isalpha() and len(words[-1]) + (token == "m") > 1:
            words[-1] += "'" + token
        elif words and words[-1] in _HEADINGS and set(token) <= set(_ROMAN):
            words += spell_number(_roman(token)).split()
        elif token.isdigit():
            year = len(token) == 4 and 1100 <= int(token) < 2000
            if len(token) > 12:
                return []
            words += (spell_year if year else spell_number)(int(token)).split()
        elif match := re.fullmatch(r"(\d{1,6})(st|nd|rd|th|d)", token):
            words += spell_ordinal(int(match[1])).split()
        elif any(c.isdigit() for c in token):
            return []
        else:
            words += _TITLES.get(token, token).split()
    return words


def _roman(text: str) -> int:
    values = [_ROMAN[c] for c in text]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))


def running(sentences: Iterable[list[str]], shortest: int = 12, longest: int = 40) -> Iterator[list[str]]:
    """Join sentences to stretches as long as read utterances, whose ends fall anywhere between sentences.

    The stretches' least lengths go round between the two bounds, so that no length is the rule.
    """
    stretch: list[str] = []
    wanted = shortest
    for sentence in sentences:
        stretch += sentence
        if len(stretch) >= wanted:
            yield stretch
            stretch = []
            wanted = shortest + (wanted - shortest + 7) % (longest - shortest)
    if stretch:
        yield stretch
