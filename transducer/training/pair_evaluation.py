"""How good a network is on pairs: frame and clip accuracy, token error rate, confusion matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from transducer.heads.head import Target
from transducer.model.network import Network
from transducer.search.build import build_greedy_search
from transducer.training.pair_loader import collate
from transducer.training.pair_losses import frame_labels, label_of, tokens_of
from transducer.training.pairs import Pair, PairSource, fixed_pair


@torch.inference_mode()
def outputs(
    network: Network, source: PairSource, heads: Sequence[str], bf16: bool = True
) -> Iterator[tuple[Pair, dict[str, torch.Tensor]]]:
    """Each example with what each of these decoders says of it, offline: (T', V) float32 log-probabilities.

    Of a transducer, what comes out are the frames that its search reads.
    """
    network.eval()
    chunks = network.config.chunks
    network.set_chunk(chunks[len(chunks) // 2])
    for index in range(len(source)):
        pair = fixed_pair(source, index)
        batch = collate([pair])
        x, mask = network.frontend(batch.x, batch.mask)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            frames, mask = network.encoder(x, mask)
            yield pair, {head: network.heads[head](frames, mask)[0][0].float() for head in heads}


def rates(network: Network, source: PairSource, heads: Sequence[str], bf16: bool = True) -> dict[str, float]:
    """Fractions: `accuracy:NAME` of framewise decoders (of frames) and pooled ones (of examples), `error:NAME` of
    the others: edits over tokens of the targets, greedy. A decoder that no example has a target for is left out.
    """
    counts = {head: network.heads[head].metric() for head in heads}
    for pair, found in outputs(network, source, heads, bf16):
        for head, output in found.items():
            if pair.target(head) is not None:
                counts[head].add(output, target_of(network, pair, head, len(output)))
    result = {}
    for head, count in counts.items():
        if count.total:
            result[f"{count.name}:{head}"] = count.rate
    return result


def target_of(network: Network, pair: Pair, head: str, frames: int) -> object:
    """What a head is to say of a pair, of which it has so many outputs."""
    wanted = network.heads[head].target
    if wanted is Target.LABELS:
        return frame_labels(pair, head, frames, network.hop)
    return label_of(pair, head) if wanted is Target.LABEL else tokens_of(pair, head)


def greedy_tokens(network: Network, head: str, output: torch.Tensor) -> list[int]:
    """What a greedy search finds in a CTC or RNN-T decoder's output for one example."""
    search = build_greedy_search(network, head)
    return list(search.best(search.step(search.init(), output.numpy())).tokens)
