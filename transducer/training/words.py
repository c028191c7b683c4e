"""Word and character error rates of heads that write text, while training and after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch

from transducer.data.pairs import PairSource
from transducer.evaluation.wer import count_errors
from transducer.heads.cascaded_rnnt import CONTEXT, CascadedRNNTConfig
from transducer.heads.metrics import TokenErrors
from transducer.heads.rnnt import RNNT
from transducer.model.network import Network
from transducer.search.tokens.hypothesis import Search
from transducer.search.tokens.rnnt_greedy import RNNTGreedySearch
from transducer.text.tokenizers.tokenizer import Tokenizer
from transducer.training.evaluation import outputs
from transducer.training.objectives import is_known


@dataclass(frozen=True)
class WordErrors:
    """`Recipe.evaluate` for text: `wer:HEAD` and `cer:HEAD` as fractions, greedy.

    Attributes:
        units: name of units -> tokenizer, as the recipe has them.
        heads: that are measured.
    """

    units: Mapping[str, Tokenizer]
    heads: Sequence[str]

    def __call__(self, network: Network, source: PairSource) -> dict[str, float]:
        result: dict[str, float] = {}
        for head, pairs in self.texts(network, source).items():
            if pairs:
                counts = count_errors(*zip(*pairs, strict=True))
                # None only where nothing is said, and no target is empty.
                result |= {f"wer:{head}": cast(float, counts.wer), f"cer:{head}": cast(float, counts.cer)}
        return result

    def texts(self, network: Network, source: PairSource) -> dict[str, list[tuple[str, str]]]:
        """Head -> what was said and what was heard, of each example that has a target for it."""
        found: dict[str, list[tuple[str, str]]] = {head: [] for head in self.heads if head in network.heads}
        for pair, said in outputs(network, source, list(found)):
            for head, output in said.items():
                target, tokenizer = pair.target(head), self.units[network.config.heads[head].units]
                if is_known(target):
                    heard = tokenizer.decode(greedy_tokens(network, head, output))
                    found[head].append((tokenizer.decode(cast(Sequence[int], target)), heard))
        return found


def greedy_tokens(network: Network, head: str, output: torch.Tensor) -> list[int]:
    """What a greedy search finds in the output of a head of tokens for one example."""
    search = greedy_search(network, head)
    return list(search.best(search.finish(search.step(search.init(), output.numpy()))).tokens)


def greedy_search(network: Network, name: str) -> Search[Any]:
    """Greedy search over the outputs of a head of tokens, as the model's config wants it."""
    head, part = network.heads[name], network.config.heads[name]
    if not isinstance(head, RNNT):
        metric = head.metric()
        assert isinstance(metric, TokenErrors)
        return metric.search
    window = network.config.decoding.blank_window
    context = CONTEXT if isinstance(part, CascadedRNNTConfig) else 0
    return RNNTGreedySearch(head.predictor, head.joint, head.max_symbols, (), window, context, head.tile)
