"""What a decoder will probably write next, by words that another search has heard in the same segment."""

from __future__ import annotations

from collections.abc import Sequence

from transducer.errors import UsageError
from transducer.text.english.normalise import normalise
from transducer.text.tokenizers.tokenizer import Tokenizer

MOST = 8  # tokens; what is behind a wrong one is read for nothing
WORDS = 6  # that so many tokens spell, if they are short
FAR = 8  # words between where something was written and where it was heard, at most
SENTENCE_ENDS = ".?!"


class Suggestions:
    """Call it with the tokens that have been written: those that probably follow.

    The end of what was written is looked up among the words that were heard, with one or two words that nobody else
    heard left aside; what follows there is suggested. Capitals stand where a sentence begins; other marks and
    capitals are left to the decoder, after each of which it is asked again.

    Args:
        words: as they were heard, in any case.
    """

    def __init__(self, tokenizer: Tokenizer, words: Sequence[str]):
        self.tokenizer = tokenizer
        self.words = [plain for word in words for plain in normalise(word).split()]

    def __call__(self, tokens: Sequence[int]) -> list[int]:
        text = self.tokenizer.decode(tokens)
        written = normalise(text).split()
        rest = ""
        if written and text[-1].isalnum():
            place = self._place(written[:-1])
            heard = self.words[place] if place < len(self.words) else ""
            if heard != written[-1] and heard.startswith(written[-1]):
                rest, written[-1] = heard[len(written[-1]) :], heard
        place = self._place(written)
        following = self.words[place : place + WORDS]
        if not (following or rest):
            return []
        begins = not rest and not text.rstrip().rstrip("\"'”’")[-1:].strip(SENTENCE_ENDS)
        said = [word.capitalize() if word.split("'")[0] == "i" else word for word in following]
        if said and begins:
            said[0] = said[0].capitalize()
        end = "" if len(self.words) > place + WORDS else "."
        try:
            return self.tokenizer.encode(rest + "".join(f" {word}" for word in said) + end)[:MOST]
        except UsageError:  # what cannot be spelled will not be written
            return []

    def _place(self, written: Sequence[str]) -> int:
        """How many of the words that were heard have been written."""
        count = len(written)
        for aside in range(min(3, count)):
            for length in (2, 1):
                tail = list(written[max(0, count - aside - length) : count - aside])
                ends = range(max(len(tail), count - FAR), min(len(self.words), count + FAR) + 1)
                if found := [end for end in ends if self.words[end - len(tail) : end] == tail]:
                    return min(found, key=lambda end: abs(end + aside - count)) + aside
        return min(count, len(self.words))
