"""A causal language model at work: it goes on with texts, and says how probable they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from transducer.engine.backend import Backend
from transducer.errors import UsageError
from transducer.search.options import Options
from transducer.search.tokens.attention.build import chosen_settings
from transducer.search.tokens.attention.decoding import Decoding
from transducer.search.tokens.attention.settings import Settings
from transducer.search.tokens.language import CausalDecoder, LanguageScorer
from transducer.text.tokenizers.tokenizer import Tokenizer

MOST_TOKENS = 100_000  # of a completion


class Score(NamedTuple):
    """How probable a text is.

    Attributes:
        log_prob: natural logarithm of the probability of the text and its end.
        tokens: how many they are, the end counted.
    """

    log_prob: float
    tokens: int

    @property
    def perplexity(self) -> float:
        return math.exp(-self.log_prob / self.tokens)


class LanguageModel:
    """See `Model.language_model`.

    Args:
        network: token numbers (B, T, 1) -> log-probabilities of the next token (B, T, V).
        tokenizer: of what is written. read: of what is read, the same tokens.
        name: for messages.

    Raises:
        UsageError: the network looks ahead, or writes other tokens than it reads.
    """

    def __init__(self, network: Backend, tokenizer: Tokenizer, read: Tokenizer, name: str):
        if network.whole or network.latency or network.stride != 1 or network.block != 1:
            raise UsageError(f"the language model {name} must step from token to token and not look ahead")
        if tokenizer.tokens != read.tokens:
            raise UsageError(f"the language model {name} must write the tokens that it reads")
        self.network, self.tokenizer, self.name = network, tokenizer, name
        self.scorer = LanguageScorer(network)

    def score(self, text: str | Sequence[int]) -> Score:
        """How probable a text is, or its tokens. Raises UsageError for what the tokens cannot spell."""
        tokens = self._tokens(text)
        x = np.array([0, *tokens], np.float32)[None, :, None]
        log_probs, _, _ = self.network.step(x, np.ones(x.shape[:2], np.bool_), self.network.init_state(1))
        wanted = np.array([*tokens, 0])
        return Score(float(log_probs[0, np.arange(len(wanted)), wanted].astype(np.float64).sum()), len(wanted))

    def perplexity(self, texts: Sequence[str | Sequence[int]]) -> float:
        """Of all texts together, a token. Raises UsageError without any."""
        scores = [self.score(text) for text in texts]
        if not scores:
            raise UsageError("a perplexity needs a text")
        return Score(sum(one.log_prob for one in scores), sum(one.tokens for one in scores)).perplexity

    def complete(self, prompt: str = "", max_tokens: int = 200, **options: Any) -> str:
        """How a text goes on after its beginning, up to its end.

        Args:
            max_tokens: where to stop if it has no end before that.
            options: search, "greedy" (the default), "beam" or "sample", and what goes with it; see `Options`.

        Raises:
            UsageError: a beginning that the tokens cannot spell, or an option that makes no sense here.
        """
        return self.completions(prompt, max_tokens, **options)[0][0]

    def completions(self, prompt: str = "", max_tokens: int = 200, **options: Any) -> list[tuple[str, float]]:
        """The `nbest` best of a beam search, or the one of another, with their scores (see `Settings`), best first."""
        if not 1 <= max_tokens <= MOST_TOKENS:
            raise UsageError(f"a completion has 1 to {MOST_TOKENS} tokens, got {max_tokens}")
        settings = replace(settings_for(Options.of(options)), align=False)
        decoder = CausalDecoder(self.scorer, tuple(self._tokens(prompt)))
        decode = Decoding(decoder, lambda steps: max_tokens, settings)
        (found,) = decode([np.zeros((1, 1), np.float32)])
        return [(self.tokenizer.decode(hypothesis.tokens), hypothesis.score) for hypothesis in found]

    def _tokens(self, text: str | Sequence[int]) -> list[int]:
        tokens = self.tokenizer.encode(text) if isinstance(text, str) else list(text)
        if strange := [token for token in tokens if not 1 <= token < len(self.tokenizer)]:
            raise UsageError(f"there is no token {strange[0]}: those of {self.name} are 1 to {len(self.tokenizer) - 1}")
        return tokens


def settings_for(options: Options) -> Settings:
    """How to search for completions. Raises UsageError for options of other searches."""
    known = {"search", "beam", "nbest", "length_penalty", "temperature", "top_k", "top_p", "seed"}
    if others := sorted(options.given - known):
        raise UsageError(f"{', '.join(others)}: a language model has {', '.join(sorted(known))}")
    return chosen_settings(options, options.search or "greedy", None)
