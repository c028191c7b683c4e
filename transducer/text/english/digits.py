"""Spelled numbers as digits, in the segments of a stream: "twenty one" -> 21.

The rules. Where they do not say, words stay words.

- Numbers below ten stay words, unless they are part of a longer one ("five", but "5 million" and "3.14").
- Cardinals from ten on: "one hundred and five" -> 105; commas from five digits on: "12,500". Round millions and more
  keep their word: "2 million", "1.5 billion". "a hundred" stays, "a hundred and five" -> 105; "hundreds" stays.
- Ordinals from tenth on: "twenty first" -> 21st; those on "second" only where no length of time can be meant ("the
  twenty second", "twenty second of"); fractions such as "a tenth of" stay.
- Decimals, digit by digit after "point": "three point one four" -> 3.14.
- Years in two halves, 1301 to 2099: "nineteen eighty four" -> 1984, "nineteen oh five" -> 1905.
- Four digits and more, one by one: "five five oh one" -> 5501.
- Times of day only before "am", "pm" or their letters: "seven thirty p m" -> 7:30 p m.
- Other numbers side by side ("seven thirty", "one two three", "five and twenty") stay words, all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from transducer.results import Segment, Word
from transducer.text.english import numerals
from transducer.text.english.numerals import CARDINALS, OH, ORDINALS, SCALES, TENS, UNITS

MARKS = ",.?!;:\u2014"
LONGEST = 40  # words in a row that are looked at together, so that a list of numbers is decided at some time
AFTER = 2  # words after a number that may tell what it is
_MONTHS = frozenset("january february march april may june july august september october november december".split())


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
        end = _run_end(texts, marked, at)
        parts = _convert(texts, at, end) if end > at else [Part(at, at + 1, None)]
        # "a" may begin a number, too.
        seen = end + AFTER if end > at else at + 1 + (texts[at] == "a")
        certain = certain and seen <= segment.stable
        result += [_merge(words[part.first : part.end], part.text) for part in parts]
        stable += len(parts) if certain else 0
        at = max(end, at + 1)
    return replace(segment, words=tuple(result), stable=len(result) if segment.final else stable)


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
            or (word(end) in OH and (following in UNITS or following in OH))
        )
        if joins and not marked[end]:
            end += 1
            while word(end) in OH and not marked[end] and (word(end + 1) in UNITS or word(end + 1) in OH):
                end += 1
    return end


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
    if after[0] not in ("am", "pm", "a.m", "p.m") and not (after[0] in ("a", "p") and after[1] == "m"):
        return None
    hour = numerals.below_hundred(run[:1]) or 0
    minute = UNITS.get(run[2]) if len(run) == 3 and run[1] in OH else numerals.below_hundred(run[1:])
    if not 1 <= hour <= 12 or minute is None or (minute < 10) != (len(run) == 3 and run[1] in OH) or minute > 59:
        return None
    return f"{hour}:{minute:02d}"


def _stays(run: list[str], number: int, before: str, after: str) -> bool:
    """Whether an ordinal stays in words: small ones, fractions, and what may be so many seconds."""
    if number < 10 or (before in ("a", "an", "one") and after == "of"):
        return True
    if run[-1] != "second" or run[-2] == "and":
        return False
    return not (before == "the" or before in _MONTHS or after in ("of", "century"))


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
