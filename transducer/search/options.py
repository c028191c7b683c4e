"""What can be chosen when a model is run: one frozen class for every head."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from transducer.errors import UsageError, require
from transducer.search.endpoint import EndpointRules
from transducer.search.hotwords import Hotwords, unique_phrases

SEARCHES = ("greedy", "beam", "sample")
RESULTS = ("words", "events")
TASKS = ("transcribe", "translate")
MOST_HYPOTHESES = 1000  # more take minutes a second, and gigabytes


@dataclass(frozen=True)
class Options:
    """None leaves a choice to the model.

    Attributes:
        head: name of the head to read; the one that goes with the search by default.
        results: "words" or "events": what it is to give. Words can be given as events, not the other way round.
        search: of words: "greedy" or "beam"; of an attention decoder also "sample".
        beam: hypotheses that a beam search keeps.
        chunk_ms: how much is decoded at a time: the latency. A multiple of the model's step.
        nbest: alternatives that final segments bring along.
        endpoint: when a segment ends.
        hotwords: words and phrases to be expected, alone or each with a weight (3 to 8 is a lot), see
            `transducer.search.hotwords`; beam search with a lexicon only.
        threshold: of events: the probability from which on something is one, 0 to 1.
        align: a text whose words are to be timed in place of a search for words; each of its lines is a segment. For
            models with a lexicon.
        length_penalty, coverage_penalty: of an attention decoder's beam search, see
            `transducer.search.tokens.attention.settings`.
        temperature, top_k, top_p, seed: of sampling, see there.
        partials: of a model that sees all of a segment at once: whether segments are decoded while they grow, so that
            there are partial results. A word that was stable then stays, which can change what is final.
        language: that is spoken, such as "de", for a model of many; told from the sound if None.
        task: "transcribe", or "translate" into English, for a model that can.
        prompt: a text that such a model takes for what came before: names, a style.
        second_pass: name or folder of such a model, which writes each final segment of another model anew; "none" for
            none where the model has one by default.
        language_model: folder of a causal language model over the same tokens, for a beam search without a lexicon.
        language_weight: of its log-probabilities.

    Raises:
        UsageError: a number that makes no sense, or of another type.
    """

    head: str | None = None
    results: str | None = None
    search: str | None = None
    beam: int | None = None
    chunk_ms: float | None = None
    nbest: int = 0
    endpoint: EndpointRules | None = None
    hotwords: Hotwords = ()
    threshold: float | None = None
    align: str | None = None
    length_penalty: float | None = None
    coverage_penalty: float | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    partials: bool = True
    language: str | None = None
    task: str | None = None
    prompt: str | None = None
    second_pass: str | Path | None = None
    language_model: str | Path | None = None
    language_weight: float | None = None

    def __post_init__(self) -> None:
        for name in ("head", "results", "search", "language", "task"):
            if getattr(self, name) is not None:
                require(getattr(self, name), str, f"{name} is a name")
        if self.search is not None and self.search not in SEARCHES:
            raise UsageError(f"unknown search {self.search!r}: there are {', '.join(SEARCHES)}")
        if self.results is not None and self.results not in RESULTS:
            raise UsageError(f"unknown kind of results {self.results!r}: there are {', '.join(RESULTS)}")
        if self.task is not None and self.task not in TASKS:
            raise UsageError(f"unknown task {self.task!r}: there are {', '.join(TASKS)}")
        require(self.partials, bool, "partials are wanted or not: True or False")
        if self.prompt is not None:
            require(self.prompt, str, "a prompt is a text")
        _check_count("a beam", self.beam, 1)
        _check_count("the number of alternatives", self.nbest, 0)
        if self.chunk_ms is not None and not (_is_number(self.chunk_ms) and self.chunk_ms > 0):
            raise UsageError(f"a chunk must be a number of milliseconds more than 0, got {self.chunk_ms!r}")
        if self.threshold is not None and not (_is_number(self.threshold) and 0 <= self.threshold <= 1):
            raise UsageError(f"the threshold must be a probability from 0 to 1, got {self.threshold!r}")
        _check_count("top_k", self.top_k, 1)
        for name in ("length_penalty", "coverage_penalty", "language_weight", "temperature", "top_p"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value >= 0):
                raise UsageError(f"{name} must be a number from 0 on, got {value!r}")
        if self.temperature == 0 or (self.top_p is not None and not 0 < self.top_p <= 1):
            raise UsageError("a temperature is more than 0, and top_p more than 0 and at most 1")
        if self.seed is not None and (not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0):
            raise UsageError(f"a seed must be a whole number from 0 on, got {self.seed!r}")
        if self.endpoint is not None and not isinstance(self.endpoint, EndpointRules):
            raise UsageError(f"endpoint must be EndpointRules, got {type(self.endpoint).__name__}")
        if self.align is not None and not isinstance(self.align, str):
            raise UsageError(f"the text to align must be a string, got {type(self.align).__name__}")
        object.__setattr__(self, "hotwords", tuple(unique_phrases(self.hotwords).values()))

    @classmethod
    def of(cls, options: dict[str, Any]) -> Options:
        """From keyword arguments. Raises UsageError for one that there is not, with those that there are."""
        known = [field.name for field in fields(cls)]
        if unknown := sorted(options.keys() - set(known)):
            raise UsageError(f"unknown option {', '.join(unknown)}: there are {', '.join(known)}")
        return cls(**options)

    def without(self, names: Collection[str]) -> Options:
        """The same with the default of these."""
        return replace(self, **{field.name: field.default for field in fields(self) if field.name in names})  # type: ignore[arg-type]

    @property
    def given(self) -> set[str]:
        """The names of the options that differ from the default."""
        return {field.name for field in fields(self) if getattr(self, field.name) != field.default}


NO_SECOND_PASS = "none"
# What is for full-context models alone.
OF_FULL_CONTEXT = {"language", "task", "prompt"}
# What is for attention decoders alone.
OF_DECODERS = {"length_penalty", "coverage_penalty", "temperature", "top_k", "top_p", "seed"}


def _check_count(what: str, value: Any, least: int) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MOST_HYPOTHESES:
        raise UsageError(f"{what} must be a whole number from {least} to {MOST_HYPOTHESES}, got {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
