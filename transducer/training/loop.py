"""The training loop of one phase, resumable bit for bit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from transducer.data.loader import Batch, BatchLoader
from transducer.errors import CheckpointError, TransducerError
from transducer.heads.head import Loss
from transducer.model.network import Network
from transducer.training.losses import batch_losses
from transducer.training.optimizer import Average, Optimizers
from transducer.training.ranks import Ranks
from transducer.training.recipe import Phase
from transducer.training.silence import Silences, silence_loss
from transducer.training.splice import SplicedTexts, spliced_losses
from transducer.training.targets import Targets

# Keys that keep the random streams of the loop apart from each other and from those of the data.
_CHUNK, _DROPOUT = 7, 8

# What is told about a step: its number, its losses and speed, or an evaluation.
Report = Callable[[int, dict[str, float]], None]


class PhaseTrainer:
    """Trains a network through one phase, keeping all that a continuation needs in `folder`.

    `texts` is for the "text" losses and `silences` for the one on "silence", if the phase has them.

    The data order and augmentation are a function of (seed, epoch, step, rank), the chunk and dropout of
    (seed, step) and (seed, step, rank). So 2N steps are N steps, a save, a load and N steps.

    Attributes:
        speed: what the log calls the amount of data a second.
    """

    speed = "audio_per_second"

    def __init__(
        self,
        network: Network,
        loader: BatchLoader,
        targets: Targets,
        phase: Phase,
        folder: Path,
        seed: int,
        ranks: Ranks = Ranks(),  # noqa: B008 (frozen)
        texts: SplicedTexts | None = None,
        silences: Silences | None = None,
    ):
        self.network, self.loader, self.targets, self.phase = network, loader, targets, phase
        self.folder, self.seed, self.ranks = folder, seed, ranks
        self.texts, self.silences = texts, silences
        self.optimizers = Optimizers(network, phase)
        self.average = Average(network, phase.average_decay)
        self.step = 0
        self.position: tuple[int, ...] = (0, 0)  # of the next batch: epoch and step

    @property
    def path(self) -> Path:
        """The file that `save` writes."""
        return self.folder / f"{self.phase.name}.pt"

    @property
    def finished(self) -> bool:
        return self.step >= self.phase.steps

    def run(
        self,
        report: Report,
        save_every: int = 0,
        evaluate_every: int = 0,
        evaluate: Callable[[], dict[str, float]] | None = None,
        until: int | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train up to step `until` (the phase's end by default), or until `stop` says so after a step."""
        until = self.phase.steps if until is None else min(until, self.phase.steps)
        if self.step >= until:
            return
        batches = self.loader.stream(*self.position)
        started = time.monotonic()
        try:
            while self.step < until:
                batch = next(batches)
                numbers = self.train_step(batch)
                self.position = self._following(batch)
                now = time.monotonic()
                amount, stopping = self.ranks.sum([self._amount(batch), stop()])
                speed = {"seconds": now - started, self.speed: amount / (now - started)}
                report(self.step, {**numbers, "epoch": batch.epoch, **speed})
                if stopping or (save_every and (self.step % save_every == 0 or self.step == until)):
                    self.save()
                if stopping:
                    return
                if evaluate and evaluate_every and (self.step % evaluate_every == 0 or self.step == until):
                    report(self.step, evaluate())
                started = time.monotonic()
        finally:
            batches.close()

    def train_step(self, batch: Batch) -> dict[str, float]:
        """One optimizer step on one batch; the numbers worth telling.

        Losses are means over the batches of all ranks together: what one process would compute on all of them.
        """
        phase = self.phase
        self.network.train()
        chunks = self.network.config.chunks
        draw = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(_CHUNK, self.step)))
        self.network.set_chunk(int(chunks[draw.integers(len(chunks))]))
        dropout = np.random.SeedSequence(self.seed, spawn_key=(_DROPOUT, self.step, self.ranks.rank))
        self.optimizers.zero_grad()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(dropout.generate_state(1, np.uint64)[0]))
            numbers = self._gradients(batch)
        self.ranks.sum_gradients(self.network.parameters())
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), phase.clip).item()
        if not np.isfinite(norm):
            raise TransducerError(
                f"phase {phase.name}, step {self.step}: the gradient is not finite; lower the learning rate "
                f"and resume from the last state in {self.folder}"
            )
        rate = self.optimizers.step(self.step)
        self.average.update(self.network)
        self.step += 1
        loss = sum(phase.losses[name] * value for name, value in numbers.items())
        return {"loss": loss, **numbers, "norm": norm, "rate": rate}

    def _gradients(self, batch: Batch) -> dict[str, float]:
        """Add this rank's share of the gradient of every loss; the losses."""
        phase = self.phase
        speech = [name for name in phase.losses if not name.startswith("text:") and name != "silence"]
        heads = [name.removeprefix("text:") for name in phase.losses if name.startswith("text:")]
        numbers = self._backward(speech, batch_losses(self.network, batch, self.targets, speech, phase.bf16))
        number = self.step * self.ranks.world + self.ranks.rank
        if "silence" in phase.losses:
            loss = silence_loss(self.network, self.silences.draw(number), phase.bf16)
            numbers |= self._backward(["silence"], {"silence": loss})
        if heads:
            self.texts.renew(self.step, self.average.weights)
            spliced = self.texts.draw(number)
            losses = spliced_losses(self.network, spliced, self.targets, heads, phase.bf16)
            numbers |= self._backward([f"text:{head}" for head in heads], losses)
        return numbers

    def _following(self, batch: Batch) -> tuple[int, ...]:
        """The position after a batch."""
        return (batch.epoch, batch.step + 1)

    def _amount(self, batch: Batch) -> float:
        """How much data a batch is, in the unit of `speed`: seconds of audio."""
        return float(batch.lengths.sum()) * self.network.frontend.hop / self.network.frontend.rate

    def _backward(self, names: Sequence[str], losses: Mapping[str, Loss]) -> dict[str, float]:
        """Add this rank's share of the gradient of the losses' means over all ranks; the means."""
        counts = self.ranks.sum(losses[name].count if name in losses else 0 for name in names)
        shares = {
            name: losses[name].total / count if name in losses else torch.zeros(())
            for name, count in zip(names, counts, strict=True)
            if count
        }
        total = sum((self.phase.losses[name] * share for name, share in shares.items()), torch.zeros(()))
        if total.requires_grad:
            total.backward()
        return dict(zip(shares, self.ranks.sum(share.item() for share in shares.values()), strict=True))

    def save(self) -> None:
        """Write everything that a continuation needs, atomically; only the first rank does."""
        if not self.ranks.first:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        torch.save(
            {
                "network": self.network.state_dict(),
                "optimizers": self.optimizers.state_dict(),
                "average": self.average.state_dict(),
                "step": self.step,
                "position": self.position,
                "texts": self.texts.state_dict() if self.texts else None,
            },
            partial,
        )
        os.replace(partial, self.path)

    def load(self) -> bool:
        """Continue from what `save` wrote; False where there is nothing.

        Raises:
            CheckpointError: the file is damaged, or of another model.
        """
        if not self.path.exists():
            return False
        try:
            state = torch.load(self.path, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.optimizers.load_state_dict(state["optimizers"])
            self.average.load_state_dict(state["average"])
            if self.texts:
                self.texts.load_state_dict(state["texts"])
            self.step, self.position = state["step"], tuple(state["position"])
        except Exception as error:  # torch raises RuntimeError, KeyError, EOFError, pickle's and zip's errors
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(f"{self.path} cannot be continued ({reason}): delete it to redo the phase") from error
        return True
