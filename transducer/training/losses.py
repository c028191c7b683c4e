"""The losses of a batch, by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from transducer.data.loader import Batch
from transducer.heads.ctc import CONDITIONING
from transducer.heads.head import Loss
from transducer.model.network import Network
from transducer.model.sequence import Aux
from transducer.training.crf import crf_loss
from transducer.training.targets import IGNORE, Targets


def batch_losses(
    network: Network, batch: Batch, targets: Targets, names: Iterable[str], bf16: bool = True
) -> dict[str, Loss]:
    """Loss by name (see `Phase.losses`): per token for sequences, per frame for frame labels.

    A loss that no row has a target for is left out, as are rows without one. With `bf16` the encoder runs under
    autocast; what needs the precision (log-sums over alignments) is float32.
    """
    aux: Aux = {}
    lengths = -(-batch.lengths // network.encoder.stride)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        frames, mask = network.encoder(batch.features, batch.mask, aux=aux)
    losses = {}
    for name in names:
        kind, _, head = name.partition(":")
        if kind == "frames":
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = network.heads[head](frames, mask)[0] if head else aux[CONDITIONING][0]
            seconds = network.hop / network.config.frontend.rate
            labels = targets.frame_labels(batch, lengths, frames.shape[1], seconds)
            if count := int((labels != IGNORE).sum()):
                losses[name] = Loss(
                    nn.functional.cross_entropy(
                        logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum"
                    ),
                    count,
                )
            continue
        loss = sequence_loss(network, head, frames, mask, lengths, batch.texts, targets, bf16, kind == "crf")
        if loss:
            losses[name] = loss
    return losses


def sequence_loss(
    network: Network,
    head: str,
    frames: Tensor,
    mask: Tensor,
    lengths: Tensor,
    texts: Sequence[str],
    targets: Targets,
    bf16: bool,
    crf: bool = False,
) -> Loss | None:
    """CTC's or RNN-T's loss of a decoder, as it is one or the other; None where no text has a target.

    Args:
        frames: (B, T, C), the encoder's; mask: (B, T); lengths: (B,) of them.
        crf: CTC's with a model of its tokens, see `training.crf`.
    """
    decoder, units = network.heads[head], network.config.heads[head].units
    tokens = [targets.tokens(text, units) for text in texts]
    rows = [row for row, target in enumerate(tokens) if target]
    if not rows:
        return None
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        projected, existing = decoder(frames[rows], mask[rows])
    known = [tokens[row] for row in rows]
    if not crf:
        return decoder.loss(projected, existing, known)
    steps = -(-lengths[rows] // decoder.stride)
    return Loss(crf_loss(projected, steps, known, targets.models[units]).sum(), sum(map(len, known)))
