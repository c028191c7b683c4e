"""Pronunciations by rule, for inflected and British forms of words that a lexicon has.

Only rules that are right more often than a small grapheme-to-phoneme model: on held-out words of CMUdict 98 %
of possessives (the model: 72 %), 93 % of plurals (75 %), 97 % of past forms (85 %). Rules for other suffixes,
prefixes and compounds were no better than the model, or worse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

Pronunciations = Mapping[str, Sequence[Sequence[str]]]

_SIBILANTS = {"S", "Z", "SH", "ZH", "CH", "JH"}
_VOICELESS = {"P", "T", "K", "F", "TH", "S", "SH", "CH"}
_WEAK = ("AH", "IH")  # the dictionary has either vowel in "-es" and "-ed"
# Spellings of British editions, and those that an American dictionary has in their place.
_AMERICAN = (
    ("our", "or"), ("ise", "ize"), ("ising", "izing"), ("isation", "ization"), ("lled", "led"), ("lling", "ling"),
    ("ller", "ler"), ("tre", "ter"), ("ence", "ense"), ("gg", "g"), ("'d", "ed"),
)  # fmt: skip


def derive(word: str, lexicon: Pronunciations) -> list[list[str]]:
    """Pronunciations of a word from those of the word that it is a form of; none where no rule applies."""
    for rule in (_possessive, _plural, _past, _british):
        found = rule(word, lexicon)
        if found:
            return found
    return []


def _possessive(word: str, lexicon: Pronunciations) -> list[list[str]]:
    if not word.endswith("'s"):
        return []
    base = word[:-2]
    return [form for phones in lexicon.get(base) or derive(base, lexicon) for form in _with_s(phones)]


def _plural(word: str, lexicon: Pronunciations) -> list[list[str]]:
    if not word.endswith("s") or word.endswith("ss") or len(word) < 4:
        return []
    bases = [word[:-1]]
    if word.endswith("es"):
        bases.append(word[:-2])
    if word.endswith("ies"):
        bases.append(word[:-3] + "y")
    return next(
        ([form for phones in lexicon[base] for form in _with_s(phones)] for base in bases if base in lexicon), []
    )


def _with_s(phones: Sequence[str]) -> list[list[str]]:
    if phones[-1] in _SIBILANTS:
        return [[*phones, vowel, "Z"] for vowel in _WEAK]
    return [[*phones, "S" if phones[-1] in _VOICELESS else "Z"]]


def _past(word: str, lexicon: Pronunciations) -> list[list[str]]:
    if not word.endswith(("ed", "'d")) or len(word) < 5:
        return []
    base = next((base for base in _stems(word[:-2]) if base in lexicon), None)
    return [form for phones in lexicon.get(base or "", []) for form in _with_ed(phones)]


def _with_ed(phones: Sequence[str]) -> list[list[str]]:
    if phones[-1] in ("T", "D"):
        return [[*phones, vowel, "D"] for vowel in _WEAK]
    return [[*phones, "T" if phones[-1] in _VOICELESS else "D"]]


def _stems(base: str) -> Iterator[str]:
    """Spellings that a verb may have before "-ed" was added."""
    yield base + "e"
    yield base
    if len(base) > 2 and base[-1] == base[-2]:
        yield base[:-1]
    if base.endswith("i"):
        yield base[:-1] + "y"


def _british(word: str, lexicon: Pronunciations) -> list[list[str]]:
    others = (word[0] + word[1:].replace(british, american) for british, american in _AMERICAN)
    return next(
        ([list(phones) for phones in lexicon[other]] for other in others if other != word and other in lexicon), []
    )
