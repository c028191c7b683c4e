"""Spelled numbers as digits, in the segments of a stream: "twenty one" -> 21.

The rules. Where they do not say, words stay words.

- Numbers below ten stay words, unless they are part of a longer one ("five", but "5 million" and "3.14").
- Cardinals from ten on: "one hundred and five" -> 105; commas from five digits on: "12,500". Round millions and more
  keep their word: "2 million", "1.5 billion". "a hundred" stays, "a hundred and five" -> 105; "hundreds" stays.
- Ordinals from tenth on: "twenty first" -> 21st; those on "second" only where no length of time can be meant ("the
  twenty second", "twenty second of"); fractions such as "a tenth of" stay.
- Decimals, by digits or as one number after "point": "three point one four" -> 3.14, "three point fifteen" -> 3.15.
  "point five" alone stays.
- Years in two halves, 1301 to 2099: "nineteen eighty four" -> 1984, "nineteen oh five" -> 1905. Decades with their
  century: "nineteen eighties" -> 1980s, but "the eighties".
- Four digits and more, one by one: "five five oh one" -> 5501. Seven and more may begin with "oh", and with "eight
  hundred" before them they are one number.
- Times of day only before "am", "pm" or their letters, which become one word: "seven thirty p m" -> 7:30 pm, "five P M"
  -> 5 PM, "between five and six p m" -> between 5 and 6 pm. The letters alone stay.
- Known acronyms that are read letter by letter are one word: "u s a" -> usa, "N A S A" -> NASA.
- Other numbers side by side ("seven thirty", "one two three", "five and twenty") stay words, all of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from transducer.results import Segment, Word
from transducer.text.english import numerals
from transducer.text.english.acronyms import letters_from, spelled_out
from transducer.text.english.numerals import (
    CARDINALS,
    DIGIT_RUN,
    LONG_RUN,
    OH,
    ORDINALS,
    SCALES,
    TEENS,
    TENS,
    UNITS,
    decade,
)

MARKS = ",.?!;:\u2014"
LONGEST = 40  # words in a row that are looked at together, so that a list of numbers is decided at some time
HALVES = ("am", "pm", "a.m", "p.m")  # of the day
AFTER = 2  # words after a number that may tell what it is
_MONTHS = frozenset("january february march april may june july august september october november december".split())
# What lasts no seconds: "forty second street".
_COUNTED = frozenset("anniversary avenue birthday century congress district division floor president street".split())


class Part(NamedTuple):
    """Words first..end-1, written as `text`; None for a single word as it is."""

    first: int
    end: int
    text: str | None


def digits(segment: Segment) -> Segment:
    """The segment with its numbers as digits; a pure function, to be called with each segment of a stream.

    A number's words become one, with the time of all of them and the least of their confidences. In a partial segment a
    word is stable once the words that follow cannot change it.
    """
    words = segment.words
    texts = [word.text.rstrip(MARKS).lower() for word in words]
    marked = [word.text != word.text.rstrip(MARKS) for word in words]
    result: list[Word] = []
    stable, certain = 0, True
    at = 0
    while at < len(words):
        end, letters = _run_end(texts, marked, at), letters_from(texts, marked, at)
        if end > at:
            parts, seen = _convert(texts, at, end), end + AFTER
            if not marked[end - 1]:
                parts = _time_of_day(parts, [word.text for word in words], texts)
        else:
            parts = [_acronym(words, texts, marked, at, letters) or Part(at, at + 1, None)]
            # "a" may begin a number, a letter an acronym, and "oh" digits.
            seen = at + 1 if letters == at else letters + (not marked[letters - 1])
            if texts[at] in OH:
                seen = max(seen, at + 2 + _digits_from(texts, marked, at + 1))
        certain = certain and seen <= segment.stable
        result += [_merge(words[part.first : part.end], part.text) for part in parts]
        stable += len(parts) if certain else 0
        at = parts[-1].end
    return replace(segment, words=tuple(result), stable=len(result) if segment.final else stable)


def _acronym(words: Sequence[Word], texts: Sequence[str], marked: Sequence[bool], at: int, end: int) -> Part | None:
    """Single letters at..end-1 as the acronym that they are; None for others, and behind another letter."""
    behind = at > 0 and len(texts[at - 1]) == 1 and texts[at - 1] not in "ai" and not marked[at - 1]
    acronym = None if behind else spelled_out(texts[at:end])
    if acronym is None:
        return None
    capitals = any(word.text != word.text.lower() for word in words[at:end])
    return Part(at, end, acronym.upper() if capitals else acronym)


def _merge(words: Sequence[Word], text: str | None) -> Word:
    if text is None:
        return words[0]
    last = words[-1].text
    mark = last[len(last.rstrip(MARKS)) :]
    return Word(text + mark, words[0].start, words[-1].end, min(word.confidence for word in words))


def _run_end(texts: Sequence[str], marked: Sequence[bool], at: int) -> int:
    """The end of the run of number words from `at` on; `at` itself if there is none."""

    def word(index: int) -> str:
        return texts[index] if index < len(texts) else ""

    if texts[at] == "a" and not marked[at] and (word(at + 1) == "hundred" or word(at + 1) in SCALES):
        end = at + 1
    elif texts[at] in CARDINALS or texts[at] in ORDINALS:
        end = at
        if not marked[at] and decade([texts[at], word(at + 1)]):
            return at + 2
    elif texts[at] in OH and not marked[at] and _digits_from(texts, marked, at + 1) >= LONG_RUN - 1:
        end = at + 1
        while word(end) in OH and not marked[end]:
            end += 1
    else:
        return at
    while end - at < LONGEST and (word(end) in CARDINALS or word(end) in ORDINALS):
        end += 1
        if marked[end - 1] or texts[end - 1] in ORDINALS:
            break
        following = word(end + 1)
        joins = (
            (word(end) == "and" and (following in CARDINALS or following in ORDINALS))
            or (word(end) == "point" and (following in UNITS or following in OH))
            # "one point" may be one of several.
            or (word(end) == "point" and texts[end - 1] != "one" and (following in TEENS or following in TENS))
            or (word(end) in OH and (following in UNITS or following in OH))
        )
        if joins and not marked[end]:
            point = word(end) == "point" and texts[end - 1] != "one"
            end += 1
            while word(end) in OH and not marked[end] and (word(end + 1) in UNITS or word(end + 1) in OH):
                end += 1
            if word(end) in OH and (point or marked[end] or not word(end + 1)):
                return end + 1  # "two point oh"
    if word(end) in OH and end - at >= DIGIT_RUN - 1 and (marked[end] or not word(end + 1)):
        # Elsewhere it is rather "oh my".
        return end + all(text in UNITS or text in OH for text in texts[at:end]) if not marked[end - 1] else end
    return end


def _digits_from(texts: Sequence[str], marked: Sequence[bool], at: int) -> int:
    """How many digits there are one by one from `at` on."""
    end = at
    while end < len(texts) and (texts[end] in UNITS or texts[end] in OH):
        end += 1
        if marked[end - 1]:
            break
    return end - at


def _convert(texts: Sequence[str], first: int, end: int) -> list[Part]:
    run = list(texts[first:end])
    before = texts[first - 1] if first else ""
    after = [*texts[end : end + AFTER], "", ""][:AFTER]
    if run[0] == "a":
        if len(run) == 2:
            return _unchanged(first, end)
        run[0] = "one"
    return _whole(run, before, after, first) or _split(texts, run, first, end) or _unchanged(first, end)


def _whole(run: list[str], before: str, after: Sequence[str], first: int) -> list[Part] | None:
    """The run as one number; None if it is not one."""
    end = first + len(run)
    if len(run) > 1 and SCALES.get(run[-1], 0) >= 10**6:
        head = numerals.decimal(run[:-1])
        number = numerals.cardinal(run[:-1])
        if head is None and number is not None:
            head = numerals.grouped(number)
        if head is not None and numerals.cardinal(["one", run[-1]]) and _falls(run):
            return [Part(first, end - 1, head), Part(end - 1, end, None)]
    if text := numerals.decimal(run) or numerals.digit_run(run) or _clock(run, after):
        return [Part(first, end, text)]
    if text := numerals.decade(run):
        return [Part(first, end, text)]
    if (number := numerals.year(run)) is not None:
        return [Part(first, end, str(number))]
    if (number := numerals.cardinal(run)) is not None:
        return _unchanged(first, end) if number < 10 else [Part(first, end, numerals.grouped(number))]
    if (number := numerals.ordinal(run)) is not None:
        return (
            _unchanged(first, end)
            if _stays(run, number, before, after[0])
            else [Part(first, end, numerals.with_suffix(number))]
        )
    return None


def _falls(run: list[str]) -> bool:
    """Whether no scale before the last one is as large: "two thousand million" is not to be had."""
    return all(SCALES.get(word, 0) < 10**3 for word in run[:-1])


def _clock(run: list[str], after: Sequence[str]) -> str | None:
    """ "seven thirty" or "seven oh five" before am or pm."""
    if after[0] not in HALVES and not (after[0] in ("a", "p") and after[1] == "m"):
        return None
    hour = numerals.below_hundred(run[:1]) or 0
    minute = UNITS.get(run[2]) if len(run) == 3 and run[1] in OH else numerals.below_hundred(run[1:])
    if not 1 <= hour <= 12 or minute is None or (minute < 10) != (len(run) == 3 and run[1] in OH) or minute > 59:
        return None
    return f"{hour}:{minute:02d}"


def _time_of_day(parts: list[Part], written: Sequence[str], texts: Sequence[str]) -> list[Part]:
    """The parts; where "am", "pm" or their letters follow an hour, it is digits, and the letters are one part more."""
    end = parts[-1].end
    after = [*texts[end : end + AFTER], "", ""][:AFTER]
    letters = after[0] in ("a", "p") and after[1] == "m" and written[end][1:] in ("", ".")
    if not letters and (after[0] not in HALVES or (after[0] == "am" and after[1] in ("i", "not"))):
        return parts
    hours = parts if len(parts) == 1 else parts[::2] if len(parts) == 3 and texts[parts[1].first] == "and" else []
    spelled = [part.text or str(UNITS.get(texts[part.first], "")) for part in hours]
    if not hours or not re.fullmatch(r"(1[0-2]|[1-9])(:\d\d)?", spelled[-1]):
        return parts
    if all(re.fullmatch(r"1[0-2]|[1-9]", text) for text in spelled):
        parts = [part._replace(text=spelled[hours.index(part)]) if part in hours else part for part in parts]
    if after[0] in ("a.m", "p.m"):
        return parts
    half, words = after[0][0] + "m", written[end : end + 1 + letters]
    capitals = any(text != text.lower() for text in words)
    return [*parts, Part(end, end + len(words), half.upper() if capitals else half)]


def _stays(run: list[str], number: int, before: str, after: str) -> bool:
    """Whether an ordinal stays in words: small ones, fractions, and what may be so many seconds."""
    if number < 10 or (after == "of" and (before in ("a", "an", "one") or (run[0] == "one" and len(run) == 2))):
        return True
    if run[-1] != "second" or run[-2] == "and":
        return False
    return not (before == "the" or before in _MONTHS or after == "of" or after in _COUNTED)


def _split(texts: Sequence[str], run: list[str], first: int, end: int) -> list[Part] | None:
    """The run as two or more numbers with "and" between them; None if it is not."""
    for at in range(len(run) - 2, 0, -1):
        if run[at] != "and":
            continue
        left, right = run[:at], run[at + 1 :]
        if left[-1] in UNITS and right[0] in TENS:
            return None  # five and twenty
        middle = first + at
        heads = _whole(left, texts[first - 1] if first else "", ("and", ""), first)
        tails = _whole(right, "and", [*texts[end : end + AFTER], "", ""][:AFTER], middle + 1)
        heads = heads or _split(texts, left, first, middle)
        if heads and tails:
            return [*heads, Part(middle, middle + 1, None), *tails]
    return None


def _unchanged(first: int, end: int) -> list[Part]:
    return [Part(index, index + 1, None) for index in range(first, end)]
