"""What heads of labels make their searches for events of."""

from __future__ import annotations

from transducer.errors import CheckpointError, UsageError
from transducer.search.context import SearchContext
from transducer.search.events.rules import EventRules
from transducer.search.events.search import EventResultSearch
from transducer.search.options import OF_DECODERS, OF_FULL_CONTEXT

OF_STEPS = ("dense", "steps", "transitions", "spans", "peaks")


def event_search(context: SearchContext, kind: str) -> EventResultSearch:
    """The search for events over a head's log-probabilities of labels, or its numbers.

    Args:
        kind: of the events where the model has no rules of its own: "dense" for labels of steps, "clip" for one label,
            "numbers" or "whole_numbers".

    Raises:
        UsageError: an option that this search does not have. CheckpointError: rules that are not for such a head.
    """
    options = context.options
    of_words = {"search", "beam", "nbest", "endpoint", "hotwords", "language_model", "language_weight"}
    context.refuse(of_words | OF_DECODERS | OF_FULL_CONTEXT, "that is for models of words")
    if options.results == "words":
        raise UsageError(
            f"the model {context.model} labels events and writes no words: use label, or a model of words, "
            "such as speech-en"
        )
    labels = ("", *context.tokenizer.tokens[1:])
    rules = context.events or EventRules(kind)
    if rules.kind not in (OF_STEPS if kind == "dense" else (kind,)):
        raise CheckpointError(f"the model {context.model} is damaged: its head makes no events of kind {rules.kind!r}")
    rules.check_labels(labels)
    return EventResultSearch(labels, rules if options.threshold is None else rules.at(options.threshold))
