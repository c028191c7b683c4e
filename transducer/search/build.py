"""Chooses and builds the search for a model's decoder."""

from __future__ import annotations

from collections.abc import Iterable

from transducer.heads.cascaded_rnnt import CONTEXT, CascadedRNNTConfig
from transducer.heads.ctc import CTCConfig
from transducer.model.network import Network
from transducer.search.tokens.ctc import CTCGreedySearch
from transducer.search.tokens.hypothesis import Search
from transducer.search.tokens.rnnt_greedy import RNNTGreedySearch


def build_greedy_search(network: Network, name: str, silence: Iterable[int] = ()) -> Search:
    """Greedy search over the outputs of a head, CTC's or RNN-T's, as the model's config wants it."""
    head = network.heads[name]
    if isinstance(network.config.heads[name], CTCConfig):
        return CTCGreedySearch(silence)
    window = network.config.decoding.blank_window
    context = CONTEXT if isinstance(network.config.heads[name], CascadedRNNTConfig) else 0
    return RNNTGreedySearch(head.predictor, head.joint, head.max_symbols, silence, window, context, head.tile)
