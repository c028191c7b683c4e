"""The losses of a batch of pairs, by name.

B examples, T steps that went in, T' frames that came out of the encoder, V labels or tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from transducer.errors import UsageError
from transducer.heads.head import Loss
from transducer.model.network import Network
from transducer.training.pair_loader import PairBatch
from transducer.training.pairs import Pair

KINDS = ("framewise", "pooled", "ctc", "rnnt")


def pair_losses(
    network: Network,
    batch: PairBatch,
    names: Sequence[str],
    weights: Mapping[str, Tensor | None],
    bf16: bool = True,
) -> dict[str, Loss]:
    """Loss by name (see `PairRecipe.losses`): per frame, per example or per token.

    A loss that no pair has a target for is left out. With `bf16` the encoder and the heads run under autocast.

    Args:
        weights: decoder -> weights (V,) of its labels, or None.

    Raises:
        UsageError: a target is not what the loss needs; the message names the pair.
    """
    x, mask = network.frontend(batch.x, batch.mask)
    losses = {}
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        frames, mask = network.encoder(x, mask)
    for name in names:
        kind, _, head = name.partition(":")
        rows = [row for row, pair in enumerate(batch.pairs) if pair.target(head) is not None]
        if kind in ("ctc", "rnnt"):  # nothing is learned from no tokens at all
            rows = [row for row in rows if len(tokens_of(batch.pairs[row], head))]
        if not rows:
            continue
        pairs, decoder = [batch.pairs[row] for row in rows], network.heads[head]
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            outputs, existing = decoder(frames[rows], mask[rows])
        if kind == "framewise":
            frames_of = zip(pairs, existing.sum(dim=1).tolist(), strict=True)
            targets = [frame_labels(pair, head, count, network.hop) for pair, count in frames_of]
        elif kind == "pooled":
            targets = [label_of(pair, head) for pair in pairs]
        else:
            targets = [list(tokens_of(pair, head)) for pair in pairs]
        loss = decoder.loss(outputs, existing, targets, weights.get(head))
        if loss.count:
            losses[name] = loss
    return losses


def frame_labels(pair: Pair, head: str, frames: int, stride: int) -> np.ndarray:
    """(T',) integers: a pair's label for each of the encoder's frames.

    Where a pair has a label for every step that went in, and the encoder makes one frame of `stride` steps, the
    frame gets the label of the step in its middle.
    """
    target = pair.target(head)
    if not isinstance(target, np.ndarray) or target.ndim != 1 or target.dtype.kind not in "iu":
        raise UsageError(f"pair {pair.id!r}: a framewise loss needs labels of frames, an array (T,) of integers")
    if len(target) == len(pair.x) and stride > 1:
        middle = np.minimum(np.arange(frames) * stride + stride // 2, len(target) - 1)
        target = target[middle]
    if len(target) != frames:
        raise UsageError(
            f"pair {pair.id!r}: {len(target)} labels for {len(pair.x)} steps; there must be one for each, "
            f"or for each of the {frames} frames that the encoder makes of them"
        )
    return target


def label_of(pair: Pair, head: str) -> int:
    """The one label of a pair."""
    target = pair.target(head)
    if not isinstance(target, int | np.integer):
        raise UsageError(f"pair {pair.id!r}: a pooled loss needs one label, an integer")
    return int(target)


def tokens_of(pair: Pair, head: str) -> Sequence[int]:
    """The tokens of a pair."""
    target = pair.target(head)
    if isinstance(target, np.ndarray | int) or target is None:
        raise UsageError(f"pair {pair.id!r}: a ctc or rnnt loss needs tokens, a list of integers")
    return target
