"""What is learned: objectives give the loss of a batch.

A recipe under pipelines/ may bring its own, as subclasses of `Objective`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from transducer.data.pairs import Pair
from transducer.errors import UsageError
from transducer.heads.head import Loss, Target
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.training.checks import check_number
from transducer.training.encoded import Encoded

if TYPE_CHECKING:
    from transducer.training.context import Context


class Objective:
    """One thing to learn.

    Attributes:
        name: for the log, unlike those of the phase's other objectives.
        weight: of its loss.
        heads: names of the heads that it trains.
        apart: whether its loss shares nothing with the other objectives' computation. Its gradient is then taken by
            itself, which needs less memory.
    """

    name: str
    weight: float = 1.0
    heads: tuple[str, ...] = ()
    apart: bool = False

    def check(self, model: ModelConfig) -> None:
        """Raises UsageError where a model, with the sizes of its units, cannot be trained with this."""

    def start(self, context: Context) -> Objective:
        """The objective at work in a phase; one that keeps something of the run returns a new object."""
        return self

    def renew(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Told before each step, counted from 0, with the averaged weights of the network."""

    def loss(self, network: Network, batch: Encoded) -> Loss | None:
        """The sum over a batch, and over how many tokens or frames; None where nothing is to be learned of it."""
        raise NotImplementedError

    def state_dict(self) -> Any:
        """What it needs to go on in another process, beside the recipe: tensors, numbers, text, in dicts and lists."""
        return None

    def load_state_dict(self, state: Any) -> None:
        """The inverse of `state_dict`."""

    def describe(self) -> list[Any]:
        """What it is, as JSON data, to tell it from another when a run is resumed."""
        described = []
        for item in fields(self) if hasattr(self, "__dataclass_fields__") else ():  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if isinstance(value, str | int | float | tuple | list | None):
                described.append([item.name, value])
        return [type(self).__name__, *described]


@dataclass(frozen=True)
class HeadLoss(Objective):
    """A head's own loss: CTC's, RNN-T's, cross-entropy of frames or of whole examples.

    Attributes:
        head: its name in the model; also what it is called in a pair's y.
        label_weights: of each label, for heads of labels; None counts all the same.
        name: the head's if empty.
    """

    head: str
    weight: float = 1.0
    label_weights: tuple[float, ...] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.head)
        if self.label_weights is not None:
            object.__setattr__(self, "label_weights", tuple(self.label_weights))
            for value in self.label_weights:
                check_number(f"objective {self.name}", "a label's weight", value)
        check_number(f"objective {self.name}", "weight", self.weight)

    @property
    def heads(self) -> tuple[str, ...]:
        return (self.head,)

    def check(self, model: ModelConfig) -> None:
        if self.head not in model.heads:
            known = ", ".join(model.heads)
            raise UsageError(f"objective {self.name}: the model has no head {self.head!r}, but {known}")
        labels = model.units[model.heads[self.head].units]
        if self.label_weights is not None and labels != len(self.label_weights):
            raise UsageError(
                f"objective {self.name}: {len(self.label_weights)} weights for {labels} labels; "
                "the background is one of them"
            )

    def loss(self, network: Network, batch: Encoded) -> Loss | None:
        head = network.heads[self.head]
        rows = [row for row, pair in enumerate(batch.batch.pairs) if is_known(pair.target(self.head))]
        if not rows:
            return None
        pairs = [batch.batch.pairs[row] for row in rows]
        outputs, mask = batch.outputs(self.head, rows)
        lengths = mask.sum(dim=1).tolist()
        targets = [target_of(network, self.head, pair, steps) for pair, steps in zip(pairs, lengths, strict=True)]
        weights = None
        if self.label_weights is not None:
            weights = torch.tensor(self.label_weights, dtype=torch.float32, device=outputs.device)
        loss = head.loss(outputs, mask, targets, weights)
        return loss if loss.count else None


def is_known(target: Any) -> bool:
    """Whether anything can be learned of a target: nothing is learned from no tokens at all."""
    return target is not None and (not hasattr(target, "__len__") or len(target) > 0)


def target_of(network: Network, head: str, pair: Pair, outputs: int) -> Any:
    """What a head is to say of a pair, for the so many steps that it puts out; checked.

    Where a pair has a label, or numbers, for every step that goes in, and the head puts out fewer, each of these gets
    those of the step in its middle.

    Raises:
        UsageError: the pair's target is not what the head needs.
    """
    target: Any = pair.target(head)
    module, where = network.heads[head], f"pair {pair.id!r}"
    module.check_target(target, where)
    if module.target not in (Target.LABELS, Target.VALUES):
        return target
    stride = network.encoder.stride * module.stride
    if -(-len(pair.x) // stride) != outputs:
        stride *= network.frontend.stride  # what goes in are no features but what the front-end makes them of
    if len(target) == len(pair.x) and stride > 1:
        middle = np.minimum(np.arange(outputs) * stride + stride // 2, len(target) - 1)
        target = target[middle]
    if len(target) != outputs:
        raise UsageError(
            f"{where}: {len(target)} {module.target.name.lower()} for {len(pair.x)} steps; there must be one for each, "
            f"or for each of the {outputs} frames that the model makes of them"
        )
    return target
