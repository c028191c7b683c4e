"""Languages that are written without spaces between their words: there each character is a word, as in Whisper's code.

Source: `split_tokens_on_unicode` and `merge_punctuations` of openai/whisper.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from transducer.text.tokenizers.tokenizer import Tokenizer

LANGUAGES = frozenset(("zh", "ja", "th", "lo", "my", "yue"))
_SCRIPTS = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "MYANMAR")  # first words of the names of their characters


def is_unspaced(text: str) -> bool:
    """Whether a text has characters of such a language."""
    return any(unicodedata.name(character, "").startswith(_SCRIPTS) for character in text)


def character_spans(tokenizer: Tokenizer, ids: Sequence[int]) -> list[tuple[int, int]]:
    """Indices into `ids` of each word, see `Tokenizer.word_spans`: the least tokens that spell whole characters.

    Marks and punctuation belong to the word before them, what opens a quotation or a bracket to the one after it. A
    number stays whole, and so does a word of an alphabet with capitals, which other languages are quoted in.
    """
    spans: list[tuple[int, int]] = []
    first, before = 0, " "
    for end in range(1, len(ids) + 1):
        text = tokenizer.decode(ids[first:end])
        if "\ufffd" in text and end < len(ids):
            continue  # a character goes on
        if not text.strip():
            first, before = end, " "
            continue
        if spans and _goes_on(before, text[0]):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((first, end))
        first, before = end, text[-1]
    return spans


def _goes_on(before: str, character: str) -> bool:
    """Whether a character belongs to the word of the one before it."""
    if before.isspace() or character.isspace():
        return False
    kind = unicodedata.category(character)
    if kind[0] == "M" or (kind[0] == "P" and kind not in ("Ps", "Pi")):
        return True
    return unicodedata.category(before) in ("Ps", "Pi") or (_is_alphabetic(before) and _is_alphabetic(character))


def _is_alphabetic(character: str) -> bool:
    return character.isdigit() or character.lower() != character.upper()


def apart(text: str) -> str:
    """Each character of such a language as a word of its own, with its marks: what error rates count as words there."""
    parts, before = [], False
    for character in text:
        now = is_unspaced(character)
        if (now or before) and unicodedata.category(character)[0] != "M":
            parts.append(" ")
        parts.append(character)
        before = now
    return " ".join("".join(parts).split())


def glued(text: str) -> str:
    """Without the spaces beside characters of such a language."""
    found = ""
    for word in text.split():
        between = "" if not found or is_unspaced(found[-1] + word[0]) else " "
        found += between + word
    return found
