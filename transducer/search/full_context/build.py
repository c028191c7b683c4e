"""What heads of full-context models make their search of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from transducer.errors import UsageError
from transducer.search.context import SearchContext
from transducer.search.endpoint import SENTENCE_PAUSE, Endpointer, EndpointRules
from transducer.search.events.words import WordEventSearch
from transducer.search.full_context.detector import SpeechDetector
from transducer.search.full_context.hotwords import context_tokens, hotword_scorer
from transducer.search.full_context.search import FullContextSearch
from transducer.search.full_context.segmenter import Segmenter
from transducer.search.full_context.spelling import SpellingTranscriber
from transducer.search.full_context.transcriber import Asked, Encodes, Transcriber
from transducer.search.options import OF_DECODERS
from transducer.search.result_search import ResultSearch
from transducer.search.tokens.attention.build import chosen_settings
from transducer.search.tokens.words import WordTimer

GROWTH = 0.5  # seconds between two decodings of a growing segment, at least
SHORT = 8.0  # seconds of a segment; one that is longer is decoded less often
LONGEST = 28.0  # seconds of a segment
SMOOTHING, AVERAGING = 0.05, 0.2  # seconds whose mean is a level, and one that the detector's floor is the least of
RISE = 0.2  # of that floor, in decades of power a second
AROUND = 0.4  # seconds before and after speech that belong to a segment
LEAST = 0.08  # seconds of speech, without which there is no segment
MARGIN = 0.5  # seconds of silence that have to fit into the window behind it


def full_context_search(context: SearchContext, head: Encodes) -> ResultSearch[Any, Any]:
    """The search for words of a model that decodes segments, or for their events if that is what was asked for.

    Raises:
        UsageError: an option that this search does not have.
    """
    options, step = context.options, context.seconds_per_step
    context.refuse({"threshold"}, "thresholds are for models of events")
    context.refuse({"coverage_penalty"}, "coverage is for decoders with one attention")
    if options.align is not None:
        raise UsageError(f"the model {context.model} writes texts, and cannot align one: use one with a lexicon")
    rules = context.endpoint(EndpointRules(silence_after_words=SENTENCE_PAUSE, max_length=LONGEST))
    window = head.config.max_steps * step - MARGIN
    rules = replace(rules, max_length=min(rules.max_length, window))
    growth = 0
    if options.partials and options.results != "events":
        growth = context.block * math.ceil(GROWTH / (context.block * step) - 1e-6)
    search = FullContextSearch(
        segmenter_of(step, Endpointer(rules, step), head.levels, growth, context.lag),
        _spelling(context, head) if head.decoder is None else _transcriber(context, head),
        WordTimer(context.tokenizer, step),
        alternatives=options.nbest,
    )
    return WordEventSearch(search) if options.results == "events" else search


def segmenter_of(
    step: float, endpointer: Endpointer, levels: Callable[[NDArray[Any]], NDArray[Any]], growth: int = 0, lag: int = 0
) -> Segmenter:
    """A segmenter of steps of so many seconds, with its detector; see `Segmenter` for the rest."""

    def steps(seconds: float) -> int:
        return max(1, round(seconds / step))

    detector = SpeechDetector(smoothing=steps(SMOOTHING), averaging=steps(AVERAGING), rise=RISE * step)
    around = steps(AROUND)
    return Segmenter(detector, endpointer, growth, lag, steps(SHORT), around, around, steps(LEAST), levels)


def _transcriber(context: SearchContext, head: Encodes) -> Transcriber:
    settings = chosen_settings(context.options, context.search, context.decoding.beam)
    special = getattr(context.tokenizer, "special", {}).values()
    scorer = hotword_scorer(context, head.size)
    return Transcriber(head, tuple(special), _asked(context, head), replace(settings, scorer_weight=1.0), scorer)


def _spelling(context: SearchContext, head: Any) -> SpellingTranscriber:
    """Of a CTC output. Raises UsageError for what is for decoders."""
    context.refuse({"task", "prompt", "nbest", "hotwords", "beam"} | OF_DECODERS, "this is for a model with a decoder")
    if context.search != "greedy":
        raise UsageError(f"the model {context.model} has greedy search alone, not {context.search!r}")
    if context.options.language not in (None, context.spoken):
        raise UsageError(f"the model {context.model} has one language, and cannot be told another")
    tokenizer = context.tokenizer
    between = (token for token in sorted(tokenizer.silence) if tokenizer.starts_word(token))
    return SpellingTranscriber(head, Asked(), next(between, None))


def _asked(context: SearchContext, head: Encodes) -> Asked:
    """What is to be written. Raises UsageError for a language or a task that the model does not have."""
    options, steering = context.options, head.config.tokens
    language, translate = options.language, options.task == "translate"
    known = tuple(steering.languages) or (context.spoken,)
    if language is not None and language not in known:
        raise UsageError(f"the model {context.model} has no language {language!r}: it has {', '.join(known)}")
    if translate and (steering.translate is None or not steering.languages):
        raise UsageError(f"the model {context.model} cannot translate: take one of many languages")
    return Asked(
        language if steering.languages else None,
        translate,
        context_tokens(context, steering.previous, (head.decoder.longest or 448) // 2),
        silence=head.config.padding,
        seconds_per_step=context.seconds_per_step,
    )
