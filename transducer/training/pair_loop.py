"""The training loop on pairs, resumable bit for bit."""

from __future__ import annotations

from pathlib import Path

import torch

from transducer.errors import UsageError
from transducer.model.network import Network
from transducer.training.loop import PhaseTrainer
from transducer.training.pair_loader import PairBatch, PairLoader
from transducer.training.pair_losses import KINDS, pair_losses
from transducer.training.pairs import PairRecipe


class PairTrainer(PhaseTrainer):
    """Trains a network on the batches of a loader; all else as in `PhaseTrainer`.

    Raises:
        UsageError: the recipe has a loss of an unknown kind, or for a decoder that the model does not have.
    """

    speed = "frames_per_second"

    def __init__(self, network: Network, loader: PairLoader, recipe: PairRecipe, folder: Path):
        super().__init__(network, loader, None, recipe.phase, folder, recipe.seed)
        self.position = (0, 0, 0)
        self.weights = {}
        for name in recipe.losses:
            kind, _, head = name.partition(":")
            if kind not in KINDS or head not in network.heads:
                raise UsageError(
                    f"there is no loss {name!r}: a loss is {', '.join(KINDS)}, a colon, and one of the model's "
                    f"decoders, which are {', '.join(network.heads)}"
                )
            weights = recipe.weights_of(head)
            self.weights[head] = None if weights is None else torch.tensor(weights, dtype=torch.float32)

    def _gradients(self, batch: PairBatch) -> dict[str, float]:
        names = list(self.phase.losses)
        return self._backward(names, pair_losses(self.network, batch, names, self.weights, self.phase.bf16))

    def _following(self, batch: PairBatch) -> tuple[int, ...]:
        return batch.following

    def _amount(self, batch: PairBatch) -> float:
        return float(batch.lengths.sum())
