"""Printed English as spoken words, each with its case and the mark after it: what readable text is learned from.

The words are those of `pipelines.speech_en.word_text`: what a recogniser would write for the line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipelines.speech_en.word_text import _ENDINGS, _TITLES, spell_number, spell_ordinal, spell_year
from transducer.text.readable.labels import CAPITALISED, INSIDE, LOWER, MARKS, UPPER

# After these a full stop ends no sentence.
_ABBREVIATIONS = (set(_TITLES) - {"etc"}) | {"no", "gen", "sergt", "maj", "mt", "ms", "co", "bros", "fr", "cf", "vs"}
_ALIASES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u2013": "\u2014", "_": "", "*": "", "\ufeff": ""})
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9']*|'[A-Za-z][A-Za-z']*")
_HEADING = re.compile(r"\b(chapter|volume|contents|book|part|canto|vol)\W+([ivxlc]+|\d+|one|two|the first)\b", re.I)
_SHOUTED = re.compile(r"(\b[A-Z][A-Z']+\b\W+){3}")


class Token(NamedTuple):
    """A spoken word in lower case, its case (None: not to be learned) and the mark after it, an index of MARKS."""

    word: str
    case: int | None
    mark: int


def parse(line: str) -> list[Token]:
    """The words of a line of print; none for a heading, or where something cannot be read out.

    Quotation marks and brackets are dropped, hyphens part words.
    """
    line = unicodedata.normalize("NFKD", line.translate(_ALIASES))
    line = line.replace("æ", "ae").replace("œ", "oe").replace("&", " and ").replace("--", "\u2014")
    line = "".join(c for c in line if not unicodedata.combining(c))
    line = re.sub(r"(\d),(?=\d{3})", r"\1", line)
    if _HEADING.search(line) or _SHOUTED.search(line) or any(ord(c) > 127 and c.isalpha() for c in line):
        return []
    tokens: list[Token] = []
    found = list(_WORD.finditer(line))
    for index, match in enumerate(found):
        after = found[index + 1].start() if index + 1 < len(found) else len(line)
        text = match[0].strip("'")
        spoken = _spoken(text)
        if spoken is None:
            return []
        if not spoken:
            continue
        lowers = index + 1 < len(found) and found[index + 1][0].strip("'")[:1].islower()
        mark = _mark(line[match.end() : after], text, lowers, last=index + 1 == len(found))
        if text in _ENDINGS and tokens and not tokens[-1].mark and match.start() and line[match.start() - 1] in " '":
            before = tokens.pop()
            tokens.append(Token(f"{before.word}'{spoken[0]}", before.case, mark))
            continue
        for number, word in enumerate(spoken):
            tokens.append(Token(word, _case(text), mark if number + 1 == len(spoken) else 0))
    return tokens


def _spoken(text: str) -> list[str] | None:
    """The words for a token of print; None where it cannot be read out."""
    lower = text.lower()
    if lower.isdigit():
        if len(lower) > 12:
            return None
        year = len(lower) == 4 and 1100 <= int(lower) < 2000
        return (spell_year if year else spell_number)(int(lower)).split()
    if match := re.fullmatch(r"(\d{1,6})(st|nd|rd|th|d)", lower):
        return spell_ordinal(int(match[1])).split()
    if any(c.isdigit() for c in lower):
        return None
    return _TITLES.get(lower, lower).split()


def _case(text: str) -> int | None:
    letters = [c for c in text if c.isalpha()]
    if not letters or letters[0].islower():
        return LOWER
    return UPPER if len(letters) > 1 and all(c.isupper() for c in letters) and "'" not in text else CAPITALISED


def _mark(gap: str, word: str, lowers: bool, last: bool) -> int:
    """The mark in what stands between a word and the next one, which begins with a small letter if `lowers`."""
    stop = "." in gap
    if stop:
        initial = len(word) == 1 and word not in "Ia"
        if initial or word.lower() in _ABBREVIATIONS:
            stop = "." in gap.replace(".", "", 1) and not initial
        elif lowers and not last:
            stop = False  # an abbreviation, or dots in the middle of a sentence
    kinds = [mark for mark in "?!" if mark in gap]
    if not kinds:
        kinds = ["."] if stop else [mark for mark in ";:" if mark in gap]
    if not kinds and "," in gap:
        kinds = [","]
    if not kinds and ("\u2014" in gap or " - " in gap or "..." in gap):
        kinds = ["\u2014"]
    if not kinds and ("(" in gap or ")" in gap):
        kinds = [","]
    return MARKS.index(kinds[0]) if kinds else 0


def novels(lines: Iterable[str]) -> Iterator[tuple[str, list[Token]]]:
    """(first line, tokens) of every book: a byte order mark begins one."""
    title, tokens = "", []
    for line in lines:
        if line.startswith("\ufeff"):
            if tokens:
                yield title, _mark_inside(tokens)
            title, tokens = line.strip("\ufeff \n"), []
        tokens += parse(line)
    if tokens:
        yield title, _mark_inside(tokens)


def _mark_inside(tokens: list[Token]) -> list[Token]:
    """Question and exclamation marks before a small letter end no sentence."""
    return [
        token._replace(mark=INSIDE[token.mark]) if token.mark in INSIDE and after.case == LOWER else token
        for token, after in zip(tokens, [*tokens[1:], tokens[-1]], strict=True)
    ]
