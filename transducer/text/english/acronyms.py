"""Acronyms that are never anything else in English, and how they are read: as a word, or letter by letter."""

from __future__ import annotations

from collections.abc import Sequence

ACRONYMS = frozenset(
    "bbc cbs cia cnn cpu dna eu fbi gdp gps gpu html http ibm mit mri mtv nasa nato nbc nhs nyc pdf rna suv tv uk url "
    "usa usb vhs vip".split()
)


def letters_from(texts: Sequence[str], marked: Sequence[bool], at: int) -> int:
    """The end of the run of single letters from `at` on, which nothing parts; `at` itself if there is none."""
    end = at
    while end < len(texts) and len(texts[end]) == 1 and texts[end].isalpha():
        end += 1
        if marked[end - 1]:
            break
    return end


def spelled_out(letters: Sequence[str]) -> str | None:
    """ "u", "s", "a" -> "usa"; None for letters that are no acronym, or more than one."""
    word = "".join(letters)
    return word if word in ACRONYMS else None
