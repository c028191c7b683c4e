"""`verify_export`: a stage's step as a program that torch.export makes, for any number of rows."""

from __future__ import annotations

from typing import Any

import torch
from contract import MakeSide
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from transducer.model.sequence import Side, State, Streaming, extras


class Step(nn.Module):
    """A step as a function from tensors to tensors; auxiliary outputs are the last of what it returns."""

    def __init__(self, stage: Streaming):
        super().__init__()
        self.stage = stage

    def forward(self, x: Tensor, mask: Tensor, state: State, side: Side) -> tuple[Any, ...]:
        aux: dict[str, tuple[Tensor, Tensor]] = {}
        return *self.stage.step(x, mask, state, **extras(self.stage, side, aux)), aux


def verify_export(stage: Streaming, channels: int, side: MakeSide | None = None, blocks: int = 1) -> None:
    """The exported program gives what the stage gives, step after step, for other batches than it was exported with.

    Args:
        stage: in eval mode. channels: of its input. side: makes its side inputs. blocks: that a step takes.
    """
    dtype = next((t.dtype for t in (*stage.parameters(), *stage.buffers())), torch.float64)
    steps, program = blocks * stage.block, None
    for rows in (3, 1, 2, 5):  # 3 is exported: 0 and 1 are special, and no size in the tests is 3
        given = dict(side(rows)) if side else {}
        state = expected = stage.init_state(rows, torch.zeros((), dtype=dtype))
        for number in range(3):
            x = torch.randn(rows, steps, channels, dtype=dtype)
            mask = torch.ones(rows, steps, dtype=torch.bool)
            if number == 0:
                mask[0, : steps // 2] = False  # not yet
            elif number == 2:
                mask[-1, steps // 2 :] = False  # the end
            inputs = (x, mask, state, given)
            if program is None:
                shapes = pytree.tree_map(lambda tensor: {0: torch.export.Dim.DYNAMIC}, inputs)
                with torch.no_grad():
                    program = torch.export.export(Step(stage), inputs, dynamic_shapes=shapes).module()
            with torch.no_grad():
                found = program(*inputs)
                wanted = Step(stage)(x, mask, expected, given)
            state, expected = found[2], wanted[2]
            ours, theirs = pytree.tree_leaves(found), pytree.tree_leaves(wanted)
            assert len(ours) == len(theirs)
            for a, b in zip(ours, theirs, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def verify_whole_export(stage: Streaming, channels: int, steps: int) -> None:
    """The exported `forward` gives what the stage gives, for other batches than it was exported with."""
    program = None
    for rows in (3, 1, 2, 5):
        x = torch.randn(rows, steps, channels, dtype=torch.float64)
        mask = torch.arange(steps)[None] < torch.tensor([steps, 5, 1, 0, 7])[:rows, None]
        with torch.no_grad():
            if program is None:
                shapes = ({0: torch.export.Dim.DYNAMIC},) * 2
                program = torch.export.export(stage, (x, mask), dynamic_shapes=shapes).module()
            for ours, theirs in zip(program(x, mask), stage(x, mask), strict=True):
                torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
