"""One spelling for what sounds the same: the text that models are trained on and that WER compares."""

from __future__ import annotations

import re
import unicodedata

# The typographic apostrophe U+2019, its look-alikes, and what keyboards have in its place.
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u201b\u02bb\u02bc\u2032\u00b4`", "'"))


def normalise(text: str) -> str:
    """Lower-case words with single spaces between them.

    Unicode NFKC; letters, marks and digits stay, apostrophes stay inside words ("don't", but "'tis" -> "tis"),
    and everything else, hyphens included, parts words: "Well-known, isn't it?" -> "well known isn't it".
    Applying it twice changes nothing more.
    """
    # Lower-casing and dropping can both leave something to compose, so NFKC comes last as well as first;
    # apostrophes before NFKC, which would take some of them apart into a space and an accent.
    text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES))
    text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES).lower())
    text = "".join(c if c == "'" or unicodedata.category(c)[0] in "LMN" else " " for c in text)
    return " ".join(re.sub(r"(?<!\S)'+|'+(?!\S)", " ", text).split())
