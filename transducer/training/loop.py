"""The training loop of one phase, resumable bit for bit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from transducer.data.ranks import Ranks, sum_in_pairs
from transducer.errors import CheckpointError, TransducerError, UsageError
from transducer.heads.head import Loss
from transducer.model.network import Network
from transducer.training.context import Batches
from transducer.training.encoded import Encoded
from transducer.training.objectives import Objective
from transducer.training.optimizer import Average, Optimizers
from transducer.training.recipe import Phase
from transducer.training.stopping import Plateau

# Keys that keep the random streams of the loop apart from each other and from those of the data.
_CHUNK, _DROPOUT = 7, 8

# What is told about a step: its number, its losses and speed, or an evaluation.
Report = Callable[[int, dict[str, float]], None]


class Trainer:
    """Trains a network through one phase, keeping all that a continuation needs in `folder`.

    The data order and augmentation are a function of the seed and of the position of the batch, the chunk and dropout
    of (seed, step) and (seed, step, shard). So 2N steps are N steps, a save, a load and N steps. The processes of
    `ranks` share each batch by its shards. So, with as many shards, any number of processes makes the same steps: bit
    for bit where it and the number of shards are powers of two; elsewhere, gradients are summed in another order.

    Args:
        network: on its device.
        objectives: of the phase, at work: see `Objective.start`.
    """

    def __init__(
        self,
        network: Network,
        batches: Batches,
        phase: Phase,
        folder: Path,
        seed: int,
        ranks: Ranks = Ranks(),  # noqa: B008 (frozen)
        objectives: Sequence[Objective] | None = None,
    ):
        self.network, self.batches, self.phase = network, batches, phase
        self.folder, self.seed, self.ranks = folder, seed, ranks
        self.objectives = list(phase.objectives if objectives is None else objectives)
        self.device = next(network.parameters()).device
        self.optimizers = Optimizers(network, phase)
        self.average = Average(network, phase.average_decay)
        self.plateau = Plateau(phase.patience)
        self.step = 0
        self.position: tuple[int, ...] = ()  # of the next batch; () is the beginning

    @property
    def path(self) -> Path:
        """The file that `save` writes."""
        return self.folder / f"{self.phase.name}.pt"

    @property
    def finished(self) -> bool:
        return self.step >= self.phase.steps or self.plateau.over

    @property
    def result(self) -> dict[str, torch.Tensor]:
        """The weights that the phase ends with: averaged, and, with patience, the best that were evaluated."""
        return self.plateau.weights or self.average.weights

    def run(
        self,
        report: Report,
        save_every: int = 0,
        evaluate_every: int = 0,
        evaluate: Callable[[], dict[str, float]] | None = None,
        until: int | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train up to step `until` (the phase's end by default), or until `stop` says so after a step.

        States are saved, and evaluations made, every so many steps and at the end; 0 is only at the end. What an
        evaluation shows is part of the state that is saved after it.
        """
        until = self.phase.steps if until is None else min(until, self.phase.steps)
        if self.step >= until or self.finished:
            return
        batches = self.batches.stream(*self.position)
        started = time.monotonic()
        try:
            while self.step < until and not self.finished:
                batch = next(batches)
                numbers = self.train_step(batch)
                self.position = batch.following
                now = time.monotonic()
                amount, stopping = self.ranks.sum([batch.amount, stop()])
                speed = {"seconds": now - started, "frames_per_second": amount / max(now - started, 1e-9)}
                report(self.step, {**numbers, "epoch": batch.epoch, **speed})
                if _due(self.step, evaluate_every, self.phase.steps) and (self.phase.patience or not stopping):
                    self._evaluate(evaluate, report)
                if stopping or self.finished or _due(self.step, save_every, self.phase.steps):
                    self.save()
                if stopping:
                    return
                started = time.monotonic()
        finally:
            batches.close()

    def _evaluate(self, evaluate: Callable[[], dict[str, float]] | None, report: Report) -> None:
        """Only one rank evaluates; all hear whether that was the last time."""
        better = False
        if evaluate:
            rates = evaluate()
            report(self.step, rates)
            better = self.plateau.judge(rates)
        if not self.phase.patience:
            return
        better, over = map(bool, self.ranks.sum([better, self.plateau.over]))
        if better:
            self.plateau.keep(self.average.weights)
        if over:
            self.plateau.waited = self.phase.patience

    def train_step(self, batch: Any) -> dict[str, float]:
        """One optimizer step on one batch, of which this process has some shards; the numbers worth telling.

        Losses are means over the whole batch, all processes together.
        """
        phase = self.phase
        self.network.train()
        chunks = self.network.config.chunks
        draw = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(_CHUNK, self.step)))
        self.network.set_chunk(int(chunks[draw.integers(len(chunks))]))
        self.optimizers.zero_grad()
        numbers = self._gradients(batch)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), phase.clip).item()
        if not np.isfinite(norm):
            raise TransducerError(
                f"phase {phase.name}, step {self.step}: the gradient is not finite; lower the learning rate "
                f"and resume from the last state in {self.folder}"
            )
        rate = self.optimizers.step(self.step)
        self.average.update(self.network)
        self.step += 1
        total = sum(o.weight * numbers[o.name] for o in self.objectives if o.name in numbers)
        losses = {f"loss:{name}": value for name, value in numbers.items()}
        return {"loss": total, **losses, "norm": norm, "rate": rate}

    def _gradients(self, batch: Any) -> dict[str, float]:
        """Give the parameters the gradient of all objectives over the whole batch; the losses."""
        encoded = {
            number: Encoded(self.network, shard.to(self.device), self.phase.bf16, self.step, number, self.ranks.shards)
            for number, shard in batch.shards.items()
        }
        numbers: dict[str, float] = {}
        total: list[torch.Tensor | None] = [None for _ in self.network.parameters()]
        together = [objective for objective in self.objectives if not objective.apart]
        for place, group in enumerate((together, *([o] for o in self.objectives if o.apart))):
            for objective in group:
                objective.renew(self.step, self.average.weights)
            losses = {}
            for number, shard in encoded.items():
                with self._dropout(number, place):
                    losses[number] = [objective.loss(self.network, shard) for objective in group]
            gradients, means = self._backward(group, losses)
            total = sum_in_pairs([total, gradients])
            numbers |= means
        for parameter, gradient in zip(self.network.parameters(), total, strict=True):
            parameter.grad = gradient
        return numbers

    @contextmanager
    def _dropout(self, shard: int, group: int) -> Iterator[None]:
        """Random numbers of a shard, for a group of objectives."""
        key = (_DROPOUT, self.step, shard, *([group] if group else []))
        seed = np.random.SeedSequence(self.seed, spawn_key=key).generate_state(1, np.uint64)[0]
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(int(seed))
            yield

    def _backward(
        self, objectives: Sequence[Objective], losses: Mapping[int, Sequence[Loss | None]]
    ) -> tuple[list[torch.Tensor | None], dict[str, float]]:
        """The gradient of the losses' means over the whole batch, and the means.

        Args:
            losses: of each objective, by the shards of this process that have examples.
        """
        parameters = list(self.network.parameters())
        columns = [[row[place] for row in losses.values()] for place in range(len(objectives))]
        counts = self.ranks.sum(sum(loss.count for loss in column if loss) for column in columns)
        known = [objective for objective, count in zip(objectives, counts, strict=True) if count]
        zero = torch.zeros((), device=self.device)

        def shard(number: int) -> list[Any]:
            """Its gradients and shares of the means."""
            row = losses.get(number, [None] * len(objectives))
            shares = [loss.total / count if loss else zero for loss, count in zip(row, counts, strict=True) if count]
            total = sum((o.weight * share for o, share in zip(known, shares, strict=True)), zero)
            if total.requires_grad:
                total.backward()
            gradients = [parameter.grad for parameter in parameters]
            for parameter in parameters:
                parameter.grad = None
            return [*gradients, *(share.item() for share in shares)]

        found = sum_in_pairs(shard(number) for number in self.ranks.own)
        gradients = self.ranks.sum_tensors(found[: len(parameters)], [parameter.shape for parameter in parameters])
        means = self.ranks.sum(found[len(parameters) :])
        return gradients, dict(zip((objective.name for objective in known), means, strict=True))

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
                "plateau": self.plateau.state_dict(),
                "step": self.step,
                "position": self.position,
                "objectives": {objective.name: objective.state_dict() for objective in self.objectives},
            },
            partial,
        )
        os.replace(partial, self.path)

    def load(self) -> bool:
        """Continue from what `save` wrote; False where there is nothing.

        Raises:
            CheckpointError: the file is damaged, or of another model. UsageError: not all processes find the same.
        """
        found = self.path.exists()
        if found:
            self._load()
        if self.ranks.sum([self.step + found]) != [self.ranks.world * (self.step + found)]:
            raise UsageError(
                f"{self.path} is not the same for all processes: they need one --output folder that they share"
            )
        return found

    def _load(self) -> None:
        try:
            state = torch.load(self.path, weights_only=True, map_location=self.device)
            # Older versions wrote those of each process.
            self.position = tuple(state["position"] if "position" in state else state["positions"][0])
            self.network.load_state_dict(state["network"])
            self.optimizers.load_state_dict(state["optimizers"])
            self.average.load_state_dict(state["average"])
            for objective in self.objectives:
                objective.load_state_dict(state["objectives"][objective.name])
            if "plateau" in state:  # those of older versions have none
                self.plateau.load_state_dict(state["plateau"])
            self.step = state["step"]
        except Exception as error:  # torch raises RuntimeError, KeyError, EOFError, pickle's and zip's errors
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(f"{self.path} cannot be continued ({reason}): delete it to redo the phase") from error


def _due(step: int, every: int, last: int) -> bool:
    """Whether something is done after a step: every so many, and after the last."""
    return step == last or bool(every and step % every == 0)
