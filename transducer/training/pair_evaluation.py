"""How good a network is on pairs: frame and clip accuracy, token error rate, confusion matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from transducer.heads.framewise import Framewise
from transducer.heads.pooled import Pooled
from transducer.model.network import Network
from transducer.search.build import build_greedy_search
from transducer.training.pair_loader import collate
from transducer.training.pair_losses import frame_labels, label_of, tokens_of
from transducer.training.pairs import NO_LABEL, Pair, PairSource, fixed_pair


@torch.inference_mode()
def outputs(
    network: Network, source: PairSource, heads: Sequence[str], bf16: bool = True
) -> Iterator[tuple[Pair, dict[str, torch.Tensor]]]:
    """Each example with what each of these decoders says of it, offline: (T', V) float32 log-probabilities.

    Of a transducer, what comes out are the frames that its search reads.
    """
    network.eval()
    chunks = network.config.chunks
    network.set_chunk(network.config.card.get("defaults", {}).get("chunk", chunks[len(chunks) // 2]))
    for index in range(len(source)):
        pair = fixed_pair(source, index)
        batch = collate([pair])
        x, mask = network.frontend(batch.x, batch.mask)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            frames, mask, _ = network.encode_with_taps(x, mask)
            yield pair, {head: network.decoders[head](frames, mask)[0][0].float() for head in heads}


def rates(network: Network, source: PairSource, heads: Sequence[str], bf16: bool = True) -> dict[str, float]:
    """Fractions: `accuracy:NAME` of framewise decoders (of frames) and pooled ones (of examples), `error:NAME` of
    the others: edits over tokens of the targets, greedy. A decoder that no example has a target for is left out.
    """
    counts = {head: Confusion.empty(network, head) for head in heads}
    for pair, found in outputs(network, source, heads, bf16):
        for head, output in found.items():
            if pair.target(head) is not None:
                counts[head].add(pair, output)
    result = {}
    for head, count in counts.items():
        if count.total:
            result[f"{count.name}:{head}"] = count.rate
    return result


class Confusion:
    """What a decoder of labels said against what was right."""

    name = "accuracy"

    def __init__(self, network: Network, head: str):
        self.network, self.head = network, head
        labels = network.config.units[network.config.decoders[head].units]
        self.matrix = np.zeros((labels, labels), dtype=np.int64)  # [right, said]

    @staticmethod
    def empty(network: Network, head: str) -> Confusion | TokenErrors:
        """What counts the mistakes of this decoder."""
        if isinstance(network.decoders[head], Framewise | Pooled):
            return Confusion(network, head)
        return TokenErrors(network, head)

    def add(self, pair: Pair, output: torch.Tensor) -> None:
        """Count an example: output (T', V)."""
        if isinstance(self.network.decoders[self.head], Pooled):
            right, said = np.array([label_of(pair, self.head)]), output[-1:].argmax(dim=1).numpy()
        else:
            right = frame_labels(pair, self.head, len(output), self.network.hop)
            said = output.argmax(dim=1).numpy()
        known = right != NO_LABEL
        np.add.at(self.matrix, (right[known], said[known]), 1)

    @property
    def total(self) -> int:
        return int(self.matrix.sum())

    @property
    def rate(self) -> float:
        return float(np.trace(self.matrix) / self.total)


class TokenErrors:
    """Edits between the tokens that a greedy search finds and those that are right."""

    name = "error"

    def __init__(self, network: Network, head: str):
        self.network, self.head = network, head
        self.total = self.errors = 0

    def add(self, pair: Pair, output: torch.Tensor) -> None:
        """Count an example: output (T', V), or (T', hidden) of a transducer."""
        wanted = list(tokens_of(pair, self.head))
        self.errors += edits(wanted, greedy_tokens(self.network, self.head, output))
        self.total += len(wanted)

    @property
    def rate(self) -> float:
        return self.errors / self.total


def greedy_tokens(network: Network, head: str, output: torch.Tensor) -> list[int]:
    """What a greedy search finds in a CTC or RNN-T decoder's output for one example."""
    search = build_greedy_search(network, head)
    return list(search.best(search.step(search.init(), output.numpy())).tokens)


def edits(right: Sequence[object], said: Sequence[object]) -> int:
    """The fewest insertions, deletions and substitutions that make one sequence the other."""
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance(right, said)
