"""How good a network is on pairs, each head by its own metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from transducer.data.loader import collate
from transducer.data.pairs import Pair, PairSource, enters, fixed_pair
from transducer.heads.metrics import Metric
from transducer.model.network import Network
from transducer.training.encoded import Encoded
from transducer.training.objectives import is_known, target_of


@torch.inference_mode()
def outputs(
    network: Network, source: PairSource, heads: Sequence[str], chunk: int | None = None, bf16: bool = False
) -> Iterator[tuple[Pair, dict[str, torch.Tensor]]]:
    """Each example with what each of these heads says of it, offline: (T', V) float32 log-probabilities, on the CPU.

    Of a transducer, what comes out are the frames that its search reads.

    Args:
        chunk: in encoder frames; that of `default_chunk` if None.
    """
    network.eval()
    network.set_chunk(chunk or default_chunk(network))
    where, device = enters(source), next(network.parameters()).device
    for index in range(len(source)):
        pair = fixed_pair(source, index)
        encoded = Encoded(network, collate([pair], where).to(device), bf16)
        yield pair, {head: encoded.outputs(head)[0][0].float().cpu() for head in heads}


def default_chunk(network: Network) -> int:
    """The chunk, in encoder frames, that a model uses when it is not told: its own, or the middle one."""
    config, rate = network.config, getattr(network.frontend, "rate", None)
    if config.decoding.chunk_ms is None or rate is None:
        return config.chunks[len(config.chunks) // 2]
    return max(1, round(config.decoding.chunk_ms / 1000 * rate / network.hop))


def chunks_of(network: Network) -> tuple[int, ...]:
    """The chunks to measure a model at: those that it was trained for, or one where none of its parts has any."""
    default = default_chunk(network)
    if not any(isinstance(getattr(part, "chunk", None), int) for part in network.modules()):
        return (default,)
    return tuple(dict.fromkeys([*network.config.chunks, default]))


def measure(network: Network, source: PairSource, heads: Sequence[str], chunk: int | None = None) -> dict[str, Metric]:
    """The metric of each head that any example has a target for, over all examples."""
    metrics = {head: network.heads[head].metric() for head in heads}
    for pair, found in outputs(network, source, heads, chunk):
        for head, output in found.items():
            if is_known(pair.target(head)):
                metrics[head].add(output, target_of(network, head, pair, len(output)))
    return {head: metric for head, metric in metrics.items() if metric.total}


def rates(metrics: Mapping[str, Metric]) -> dict[str, float]:
    """Fractions by name: `accuracy:HEAD` of heads of labels, `error:HEAD` of heads of tokens."""
    return {f"{metric.name}:{head}": metric.rate for head, metric in metrics.items()}
