"""What heads of full-context models make their search of."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from transducer.errors import UsageError
from transducer.search.context import SearchContext
from transducer.search.endpoint import Endpointer, EndpointRules
from transducer.search.events.words import WordEventSearch
from transducer.search.full_context.detector import SpeechDetector
from transducer.search.full_context.hotwords import context_tokens, hotword_scorer
from transducer.search.full_context.search import FullContextSearch
from transducer.search.full_context.segmenter import Segmenter
from transducer.search.full_context.transcriber import Asked, Encodes, Transcriber
from transducer.search.result_search import ResultSearch
from transducer.search.tokens.attention.build import chosen_settings
from transducer.search.tokens.words import WordTimer

GROWTH = 0.5  # seconds between two decodings of a growing segment, at least
LONGEST = 28.0  # seconds of a segment
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
    if head.decoder is None:
        raise UsageError(f"the model {context.model} has no decoder, and this search needs one")
    asked = _asked(context, head)
    settings = replace(chosen_settings(options, context.search, context.decoding.beam), scorer_weight=1.0)
    special = getattr(context.tokenizer, "special", {}).values()
    rules = context.endpoint(EndpointRules(max_length=LONGEST))
    window = head.config.max_steps * step - MARGIN
    rules = replace(rules, max_length=min(rules.max_length, window))
    growth = 0
    if options.partials and options.results != "events":
        growth = context.block * math.ceil(GROWTH / (context.block * step) - 1e-6)
    search = FullContextSearch(
        Segmenter(SpeechDetector(), Endpointer(rules, step), growth, context.lag),
        Transcriber(head, tuple(special), asked, settings, hotword_scorer(context, head.size)),
        WordTimer(context.tokenizer, step),
        alternatives=options.nbest,
    )
    return WordEventSearch(search) if options.results == "events" else search


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
        seconds_per_step=context.seconds_per_step,
    )
