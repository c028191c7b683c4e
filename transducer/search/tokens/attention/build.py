"""What attention decoders make their search of."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from transducer.errors import UsageError
from transducer.search.context import SearchContext
from transducer.search.endpoint import EndpointRules
from transducer.search.events.words import WordEventSearch
from transducer.search.options import OF_FULL_CONTEXT, Options
from transducer.search.result_search import ResultSearch
from transducer.search.segments import SegmentSearch
from transducer.search.tokens.attention.decoding import Decoding
from transducer.search.tokens.attention.segment import AttentionSearch
from transducer.search.tokens.attention.settings import Decodes, Limit, Settings
from transducer.search.tokens.ctc import CTCGreedySearch
from transducer.search.tokens.words import WordTimer

OF_SAMPLING = {"temperature", "top_k", "top_p", "seed"}
OF_BEAMS = {"beam", "length_penalty", "coverage_penalty", "language_model", "language_weight"}


def attention_search(
    context: SearchContext, decoder: Decodes, limit: Limit, channels: int, has_ctc: bool, max_memory: int
) -> ResultSearch[Any, Any]:
    """The search for words of an attention decoder, or for their events if that is what was asked for.

    Args:
        limit: tokens for so many steps, at most.
        channels: of the steps that it attends to; log-probabilities of CTC follow them where it `has_ctc`.
        max_memory: steps of a segment, at most.

    Raises:
        UsageError: an option that this search does not have.
    """
    options, step = context.options, context.seconds_per_step
    context.refuse({"threshold"}, "thresholds are for models of events")
    context.refuse(OF_FULL_CONTEXT, "that is for full-context models")
    if options.hotwords:
        raise UsageError("hotwords need a beam search with a lexicon, which an attention decoder does not have")
    first = CTCGreedySearch(context.tokenizer.silence) if has_ctc else None
    decoding = Decoding(
        decoder, limit, chosen_settings(options, context.search, context.decoding.beam), context.language
    )
    # Without CTC a segment has no end but its length, so that the usual length would cut what is one.
    rules = context.endpoint(None if has_ctc else EndpointRules(max_length=math.inf))
    rules = replace(rules, max_length=min(rules.max_length, max_memory * step))
    segments = SegmentSearch(
        AttentionSearch(decoding, channels, first),
        WordTimer(context.tokenizer, step, context.decoding.time_shift),
        rules,
        options.nbest,
    )
    return WordEventSearch(segments) if options.results == "events" else segments


def chosen_settings(options: Options, kind: str, beam: int | None) -> Settings:
    """How to search, by what was asked for.

    Args:
        kind: "greedy", "beam" or "sample".
        beam: hypotheses where nobody says how many; None for the usual number.

    Raises:
        UsageError: an option of another kind of search.
    """
    for names, needed in ((OF_SAMPLING, "sample"), (OF_BEAMS, "beam")):
        if kind != needed and (given := sorted(options.given & names)):
            raise UsageError(f"{', '.join(given)} goes with search={needed!r}, and this one is {kind!r}")
    if options.nbest > 1 and kind != "beam":
        raise UsageError(f"alternatives come from a beam search, and this one is {kind!r}")
    chosen: dict[str, Any] = {
        "beam": options.beam or beam,
        "length_penalty": options.length_penalty,
        "coverage_penalty": options.coverage_penalty,
        "temperature": options.temperature,
        "top_k": options.top_k,
        "top_p": options.top_p,
        "seed": options.seed,
        "scorer_weight": options.language_weight,
        "nbest": max(1, options.nbest),
    }
    settings = Settings(kind, **{name: value for name, value in chosen.items() if value is not None})
    return replace(settings, beam=max(settings.beam, settings.nbest)) if options.beam is None else settings
