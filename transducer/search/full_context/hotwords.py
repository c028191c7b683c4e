"""Words to be expected by a decoder: a bias on the prefix tree of their tokens, and a place in its prompt.

Source: the biasing trees of K. Hall et al. 2015, "Composition-based on-the-fly rescoring for salient n-gram biasing",
Interspeech, with what a phrase that breaks off has got taken back.

Legend of axis suffixes: N texts, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.errors import UsageError
from transducer.search.context import SearchContext
from transducer.search.hotwords import Hotword
from transducer.text.unspaced import is_unspaced

MOST_EXPECTED = 100  # tokens of hotwords in a prompt


class Node:
    """A place in the tree.

    Attributes:
        children: by the token that leads there.
        bonus: of the token that leads here, in log-probability.
        whole: whether a phrase ends here.
    """

    def __init__(self) -> None:
        self.children: dict[int, Node] = {}
        self.bonus = 0.0
        self.whole = False


class HotwordScorer:
    """Adds a phrase's weight to the texts that have it, a share of it with every token; see `TokenScorer`.

    Args:
        phrases: tokens of each, and what it adds; of those that begin alike, the largest share counts.
        size: of the vocabulary.
    """

    def __init__(self, phrases: Iterable[tuple[Sequence[int], float]], size: int):
        self.root, self.size = Node(), size
        for tokens, weight in phrases:
            node, share = self.root, weight / len(tokens)
            for token in tokens:
                child = node.children.setdefault(token, Node())
                child.bonus = max(child.bonus, share, key=abs)
                node = child
            node.whole = True

    def log_probs(self, texts: Sequence[tuple[int, ...]]) -> NDArray[np.float32]:
        """(N, V): what each next token adds to each text, or takes back."""
        found = np.zeros((len(texts), self.size), np.float32)
        for row, text in zip(found, texts, strict=True):
            node, owed = self._walk(text)
            row[:] = -owed
            for token, child in self.root.children.items():
                row[token] = child.bonus - owed
            for token, child in node.children.items():
                row[token] = child.bonus
        return found

    def _walk(self, text: Sequence[int]) -> tuple[Node, float]:
        """Where a text has come to, and what it has been given for a phrase that is not whole yet."""
        node, owed = self.root, 0.0
        for token in text:
            if token not in node.children:
                node, owed = self.root, 0.0
            if token in node.children:
                node = node.children[token]
                owed = 0.0 if node.whole else owed + node.bonus
        return node, owed


def hotword_scorer(context: SearchContext, size: int) -> HotwordScorer | None:
    """A scorer for the hotwords that were asked for; None without any.

    Raises:
        UsageError: the search is none with a beam, in which alone a phrase can win against others.
    """
    hotwords: tuple[Hotword, ...] = tuple(context.options.hotwords)  # type: ignore[arg-type]
    if not hotwords:
        return None
    if context.search != "beam":
        raise UsageError("hotwords need a beam search: add search='beam' (--search beam)")
    encode = context.tokenizer.encode
    # As it is written, and as a name or at the beginning of a sentence.
    spelled = {
        (form, hotword.weight)
        for hotword in hotwords
        for form in (hotword.phrase, hotword.phrase.title(), hotword.phrase[:1].upper() + hotword.phrase[1:])
    }
    # Where there are no spaces between words, none stands before a phrase.
    before = {
        (f"{space}{phrase}", weight)
        for phrase, weight in spelled
        for space in (" ", "")
        if space or is_unspaced(phrase)
    }
    return HotwordScorer([(encode(phrase), weight) for phrase, weight in sorted(before)], size)


def context_tokens(context: SearchContext, previous: int | None, room: int) -> tuple[int, ...]:
    """What the decoder reads as the text that came before: hotwords, then the prompt; () without any.

    Args:
        previous: the token that is read before it; None where a model has none.
        room: tokens, at most.

    Raises:
        UsageError: there is a prompt, and the model takes none.
    """
    options, tokenizer = context.options, context.tokenizer
    if previous is None:
        context.refuse({"prompt"}, "a prompt is for a decoder that reads what came before")
        return ()
    expected: list[int] = []
    wanted: list[Any] = [hotword for hotword in options.hotwords if hotword.weight > 0]  # type: ignore[union-attr]
    for number, hotword in enumerate(wanted):
        tokens = tokenizer.encode(("," if number else "") + f" {hotword.phrase}")
        if len(expected) + len(tokens) > MOST_EXPECTED:
            break
        expected += tokens
    said = (options.prompt or "").strip()
    prompt = tokenizer.encode(f" {said}") if said else []
    found = (expected + prompt)[-(room - 1) :]
    return (previous, *found) if found else ()
