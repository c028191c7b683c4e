"""English numbers in words -> digits: what a run of number words says, if it says one thing."""

from __future__ import annotations

import re
from collections.abc import Sequence

UNITS = {word: n for n, word in enumerate("zero one two three four five six seven eight nine".split())}
TEENS = {
    word: n
    for n, word in enumerate(
        "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(), start=10
    )
}
TENS = {word: 10 * n for n, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_IRREGULAR = {"first": "one", "second": "two", "third": "three", "fifth": "five", "eighth": "eight", "ninth": "nine"}
_IRREGULAR |= {"twelfth": "twelve", "fourth": "four", "sixth": "six", "seventh": "seven"}
ORDINALS = {
    **_IRREGULAR,
    **{f"{word}th": word for word in TEENS if word != "twelve"},
    **{f"{word[:-1]}ieth": word for word in TENS},
    **{f"{word}th": word for word in ("hundred", *SCALES)},
}
CARDINALS = {*UNITS, *TEENS, *TENS, "hundred", *SCALES}
DECADES = {"hundreds": 0} | {f"{word[:-1]}ies": n for word, n in TENS.items()}
OH = ("oh", "o")  # zero in the middle of a year or of digits one by one
DIGIT_RUN = 4  # so many digits one by one are a number; fewer are counting
LONG_RUN = 7  # so many may begin with "oh", which is something else before fewer


def below_hundred(words: Sequence[str]) -> int | None:
    """0 to 99: "seven", "seventeen", "seventy", "seventy seven"; None for anything else."""
    match words:
        case [word] if word in UNITS or word in TEENS or word in TENS:
            return {**UNITS, **TEENS, **TENS}[word]
        case [tens, unit] if tens in TENS and UNITS.get(unit):
            return TENS[tens] + UNITS[unit]
    return None


def below_thousand(words: Sequence[str]) -> int | None:
    """0 to 999, and hundreds up to 9,999 that are no round thousand ("eighteen hundred and five")."""
    if "hundred" not in words:
        return below_hundred(words)
    at = list(words).index("hundred")
    head, rest = below_hundred(words[:at]), list(words[at + 1 :])
    if not head or (head >= 10 and head % 10 == 0):
        return None
    if not rest:
        return head * 100
    tail = below_hundred(rest[1:] if rest[0] == "and" else rest)
    return head * 100 + tail if tail else None


def cardinal(words: Sequence[str]) -> int | None:
    """Any number in words, scales falling: "two million three hundred thousand and five"; None for anything else."""
    scales = [index for index, word in enumerate(words) if word in SCALES]
    if not scales:
        return below_thousand(words)
    total, start, last = 0, 0, 10**15
    for index in scales:
        scale, group = SCALES[words[index]], below_thousand(words[start:index])
        if not group or group > 999 or scale >= last:
            return None
        total, start, last = total + group * scale, index + 1, scale
    rest = list(words[start:])
    if not rest:
        return total
    group = below_thousand(rest[1:]) if rest[0] == "and" else below_thousand(rest)
    if not group or group > 999 or (rest[0] == "and" and group > 99):
        return None
    return total + group


def ordinal(words: Sequence[str]) -> int | None:
    """ "twenty first", "one hundred and fifth"; None for anything else."""
    if not words or words[-1] not in ORDINALS:
        return None
    return cardinal([*words[:-1], ORDINALS[words[-1]]])


def year(words: Sequence[str]) -> int | None:
    """ "nineteen eighty four", "nineteen oh five", "twenty twenty": 1300 to 2099 in two halves; else None."""
    century = {**TEENS, **TENS}.get(words[0], 0) if words else 0
    if not 13 <= century <= 20:
        return None
    if len(words) == 3 and words[1] in OH and UNITS.get(words[2]):
        return century * 100 + UNITS[words[2]]
    rest = below_hundred(words[1:])
    return century * 100 + rest if rest is not None and rest >= 10 else None


def decade(words: Sequence[str]) -> str | None:
    """ "nineteen eighties" -> "1980s", "eighteen hundreds" -> "1800s"; else None."""
    century = {**TEENS, "twenty": 20}.get(words[0], 0) if len(words) == 2 else 0
    if century < (11 if words[-1] == "hundreds" else 13) or words[-1] not in DECADES or words == ["twenty", "hundreds"]:
        return None
    return f"{century * 100 + DECADES[words[-1]]}s"


def digit_run(words: Sequence[str]) -> str | None:
    """Digits one by one, DIGIT_RUN of them at least: "five five oh one" -> "5501"; else None.

    Before seven of them, "eight hundred" and "one eight hundred" are digits, too.
    """
    match words[:-LONG_RUN]:
        case [*one, area, "hundred"] if (
            one in ([], ["one"]) and UNITS.get(area) and (rest := digit_run(words[-LONG_RUN:]))
        ):
            return "".join(str(UNITS[word]) for word in (*one, area)) + "00" + rest
    if len(words) < DIGIT_RUN or not all(word in UNITS or word in OH for word in words):
        return None
    if words[0] in OH and len(words) < LONG_RUN:
        return None
    return "".join(str(UNITS.get(word, 0)) for word in words)


def decimal(words: Sequence[str]) -> str | None:
    """ "three point one four" -> "3.14", "three point fifteen" -> "3.15"; else None."""
    if "point" not in words:
        return None
    at = list(words).index("point")
    whole, places = cardinal(words[:at]), words[at + 1 :]
    if whole is None or not places:
        return None
    if all(word in UNITS or word in OH for word in places):
        return grouped(whole) + "." + "".join(str(UNITS.get(word, 0)) for word in places)
    hundredths = below_hundred(places)
    return None if hundredths is None else f"{grouped(whole)}.{hundredths}"


def grouped(number: int) -> str:
    """Commas between thousands from five digits on: 2005 may be a year."""
    return f"{number:,}" if number >= 10_000 else str(number)


def with_suffix(number: int) -> str:
    """1st, 2nd, 3rd, 11th, ..."""
    suffix = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{grouped(number)}{suffix}"


def spoken(text: str) -> list[str]:
    """The words for what this module writes: 21, 12,500, 21st; the inverse of `cardinal` and `ordinal`."""
    digits = re.sub(r"\D", "", text)
    words = _spoken(int(digits))
    if digits != text.replace(",", ""):
        words[-1] = {word: name for name, word in ORDINALS.items()}[words[-1]]
    return words


def _spoken(number: int) -> list[str]:
    for name, scale in reversed(SCALES.items()):
        if number >= scale:
            head, rest = [*_spoken(number // scale), name], number % scale
            return head + ((["and"] if rest < 100 else []) + _spoken(rest) if rest else [])
    names = {n: word for word, n in {**UNITS, **TEENS, **TENS}.items()}
    if number >= 100:
        return [names[number // 100], "hundred", *(["and", *_spoken(number % 100)] if number % 100 else [])]
    return [names[number]] if number in names else [names[number // 10 * 10], names[number % 10]]
