"""How many sequences are right to the last token."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from transducer.data.loader import collate
from transducer.data.pairs import PairSource, enters, fixed_pair
from transducer.heads.metrics import TokenErrors
from transducer.model.network import Network
from transducer.training.encoded import Encoded
from transducer.training.evaluation import default_chunk
from transducer.training.objectives import is_known, target_of

_BATCH = 64  # examples that are decoded together


@dataclass(frozen=True)
class ExactSequences:
    """A recipe's `evaluate` for a head of tokens: `exact:HEAD`, sequences without an error, and `error:HEAD`, edits a
    token.

    Attributes:
        head: its name in the model.
    """

    head: str

    @torch.inference_mode()
    def __call__(self, network: Network, source: PairSource) -> dict[str, float]:
        network.eval()
        network.set_chunk(default_chunk(network))
        where, device = enters(source), next(network.parameters()).device
        metric = network.heads[self.head].metric()
        assert isinstance(metric, TokenErrors)
        for first in range(0, len(source), _BATCH):
            pairs = [fixed_pair(source, index) for index in range(first, min(first + _BATCH, len(source)))]
            pairs = [pair for pair in pairs if is_known(pair.target(self.head))]
            if not pairs:
                continue
            outputs, mask = Encoded(network, collate(pairs, where).to(device), False).outputs(self.head)
            lengths = mask.sum(dim=1).tolist()
            metric.add_many(
                [row[:length] for row, length in zip(outputs, lengths, strict=True)],
                [target_of(network, self.head, pair, length) for pair, length in zip(pairs, lengths, strict=True)],
            )
        if not metric.total:
            return {}
        return {f"exact:{self.head}": metric.right / metric.sequences, f"error:{self.head}": metric.rate}
