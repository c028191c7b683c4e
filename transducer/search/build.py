"""Chooses and builds the search for a model's decoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from transducer.errors import UsageError
from transducer.heads.cascaded_rnnt import CascadedRNNTConfig
from transducer.heads.ctc import CTCConfig
from transducer.heads.rnnt import RNNT
from transducer.model.network import Network
from transducer.model.packing import is_packed
from transducer.search.endpoint import EndpointRules
from transducer.search.hotwords import Hotwords
from transducer.search.segments import SegmentSearch
from transducer.search.tokens.beam import BeamConfig
from transducer.search.tokens.ctc import CTCBeamSearch, CTCGreedySearch
from transducer.search.tokens.hypothesis import Search
from transducer.search.tokens.rnnt import RNNTBeamSearch
from transducer.search.tokens.rnnt_greedy import RNNTGreedySearch
from transducer.search.tokens.rows import TILE
from transducer.search.tokens.word_model import WordModel
from transducer.search.tokens.words import FinishedWordTimer, WordTimer
from transducer.text.tokenizers.tokenizer import Tokenizer

SEARCHES = ("greedy", "beam")
# Seconds without a word that end a segment, where words come when they are over: pauses and the word after them.
LATE_WORDS = 1.4
CONTEXT = 32  # pieces of the segments before that a cascaded head's predictor reads first


def build_greedy_search(network: Network, name: str, silence: Iterable[int] = ()) -> Search:
    """Greedy search over the outputs of a head, CTC's or RNN-T's, as the model's config wants it."""
    head = network.heads[name]
    if isinstance(network.config.heads[name], CTCConfig):
        return CTCGreedySearch(silence)
    window = network.config.decoding.blank_window
    context = CONTEXT if isinstance(network.config.heads[name], CascadedRNNTConfig) else 0
    return RNNTGreedySearch(head.predictor, head.joint, head.max_symbols, silence, window, context, _tile(head))


def build_segment_search(
    network: Network,
    units: Mapping[str, Tokenizer],
    kind: str,
    beam: int | None = None,
    nbest: int = 0,
    rules: EndpointRules | None = None,
    word_model: WordModel | None = None,
    hotwords: Hotwords = (),
) -> tuple[str, SegmentSearch]:
    """The name of the head that a search reads, and the search.

    Greedy search reads the model's first head, and so does beam search where the model has no lexicon.

    Args:
        kind: "greedy" or "beam".
        beam: hypotheses that a beam search keeps.
        nbest: alternatives that final segments get; the beam is at least as wide.
        rules: where segments end.
        word_model: lexicon and language model, where the model has them; beam search then looks for words.
        hotwords: words and phrases to be expected, with weights or without; only a search for words can use them.

    Raises:
        UsageError: an unknown kind, or a number that makes no sense.
    """
    if kind not in SEARCHES:
        raise UsageError(f"unknown search {kind!r}: there are {', '.join(SEARCHES)}")
    if beam is not None and beam < 1:
        raise UsageError(f"a beam needs at least 1 hypothesis, got {beam}")
    if nbest < 0:
        raise UsageError(f"the number of alternatives cannot be negative, got {nbest}")
    frame, shift = network.hop / network.frontend.rate, network.config.decoding.time_shift
    if kind == "beam" and word_model is not None:
        wanted = word_model.config.units
        name = next(name for name, part in network.config.heads.items() if part.units == wanted)
        words, spelling = word_model.search(hotwords, beam)
        return name, SegmentSearch(words, WordTimer(spelling, frame, shift), rules, nbest)
    if hotwords:
        why = "greedy search has no use for one" if kind == "greedy" else "this model has none"
        raise UsageError(f"hotwords need a beam search with a lexicon, and {why}")
    name, part = next(iter(network.config.heads.items()))
    tokenizer, head = units[part.units], network.heads[name]
    silence = tokenizer.silence
    config = BeamConfig(beam or max(BeamConfig.size, nbest))
    timer = WordTimer(tokenizer, frame, shift)
    if isinstance(part, CascadedRNNTConfig):
        step = frame * head.stride
        timer = FinishedWordTimer(tokenizer, step, -part.delay * step)
        rules = rules or EndpointRules(silence_after_words=LATE_WORDS)
    search: Search
    if kind == "greedy":
        search = build_greedy_search(network, name, silence)
    elif isinstance(part, CTCConfig):
        search = CTCBeamSearch(config, silence=silence)
    else:
        # A search frame by frame compares hypotheses fairly if each frame is one symbol; a word at a time needs more.
        most = head.max_symbols if isinstance(part, CascadedRNNTConfig) else 1
        search = RNNTBeamSearch(head.predictor, head.joint, most, config, silence=silence, tile=_tile(head))
    return name, SegmentSearch(search, timer, rules, nbest)


def _tile(head: RNNT) -> int | None:
    """See `Rows`."""
    return None if is_packed(head.predictor) and is_packed(head.out) else TILE
