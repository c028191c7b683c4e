"""What heads that write tokens make their searches for words of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from transducer.errors import UsageError
from transducer.search.context import SearchContext
from transducer.search.endpoint import EndpointRules
from transducer.search.events.words import WordEventSearch
from transducer.search.options import OF_DECODERS, OF_FULL_CONTEXT
from transducer.search.result_search import ResultSearch
from transducer.search.segments import SegmentSearch
from transducer.search.tokens.alignment import AlignmentSearch
from transducer.search.tokens.beam import BeamConfig, BeamSearch
from transducer.search.tokens.given_text import TextGraph
from transducer.search.tokens.hypothesis import Search
from transducer.search.tokens.words import WordTimer
from transducer.text.tokenizers.symbols import Symbols


def word_search(
    context: SearchContext,
    greedy: Callable[[], Search[Any]],
    beam: Callable[[BeamConfig], Search[Any]],
    timer: WordTimer | None = None,
    endpoint: EndpointRules | None = None,
) -> ResultSearch[Any, Any]:
    """The search for words over a head's outputs, or for their events if that is what was asked for.

    Args:
        greedy, beam: make the search over tokens. Where there is a word model, a beam search looks for its words.
        timer: makes words of tokens; the plain one if None.
        endpoint: where segments end if nobody says so; the usual rules if None.

    Raises:
        UsageError: an option that this search does not have.
    """
    options, decoding = context.options, context.decoding
    context.refuse({"threshold"}, "thresholds are for models of events")
    context.refuse(OF_DECODERS, "that is for attention decoders")
    context.refuse(OF_FULL_CONTEXT, "that is for full-context models")
    if context.search not in ("greedy", "beam"):
        raise UsageError(f"search {context.search!r} is for attention decoders: there are greedy, beam")
    if context.language is not None and (context.search != "beam" or context.words is not None):
        raise UsageError("a language model of tokens goes with a beam search without a lexicon")
    if options.hotwords and (context.search != "beam" or context.words is None):
        why = "greedy search has no use for one" if context.search == "greedy" else f"{context.model} has none"
        raise UsageError(f"hotwords need a beam search with a lexicon, and {why}")
    if options.align is not None:
        if strange := sorted(options.given & {"hotwords", "nbest", "endpoint", "beam"}):
            raise UsageError(f"{', '.join(strange)}: is of no use where a text is aligned, which says all words")
        if context.words is None:
            raise UsageError(
                f"an alignment needs a model with a lexicon and its beam search: {context.model} has none, or greedy "
                "search was asked for"
            )
        plain = WordTimer(Symbols(["word"]), context.seconds_per_step, decoding.time_shift)
        return AlignmentSearch(TextGraph.of(options.align, context.words), plain, [*context.words.tokenizer.silence])
    timer = timer or WordTimer(context.tokenizer, context.seconds_per_step, decoding.time_shift)
    search: Search[Any]
    if context.search == "beam" and context.words is not None:
        search, spelling = context.words.search(options.hotwords, options.beam or decoding.beam)
        timer = WordTimer(spelling, context.seconds_per_step, decoding.time_shift)
        endpoint = None
    elif context.search == "beam":
        config = BeamConfig(options.beam or decoding.beam or max(BeamConfig.size, options.nbest))
        if options.language_weight is not None:
            config = replace(config, scorer_weight=options.language_weight)
        search = beam(config)
        if isinstance(search, BeamSearch):
            search.scorer = context.language
    else:
        search = greedy()
    segments = SegmentSearch(search, timer, context.endpoint(endpoint), options.nbest)
    return WordEventSearch(segments) if options.results == "events" else segments
