"""Stages in series and in residuals, and states: selecting, stacking, splitting; chunks and shared weights."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from contract import flat, run_steps
from torch import Tensor, nn

from transducer.cores.attention import ChunkAttention
from transducer.cores.conformer import ConformerLayer
from transducer.cores.layers import Pointwise
from transducer.encoders.conv_subsampling import ConvSubsampling
from transducer.frontends.logmel import LogMel
from transducer.model.sequence import (
    Residual,
    Serial,
    Streaming,
    apply_mask,
    lengths_to_mask,
    mask_stride,
    set_chunk,
    share_weights,
)
from transducer.model.state import batch_size, select, split, stack


class Delay(Streaming):
    """Holds its input back by some steps: the smallest stage with a latency."""

    def __init__(self, latency: int):
        super().__init__()
        self.latency = latency

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return x, mask

    def init_state(self, batch: int, like: Tensor) -> tuple[Tensor, Tensor]:
        return like.new_zeros(batch, self.latency, 1), torch.zeros(batch, self.latency, dtype=torch.bool)

    def step(self, x: Tensor, mask: Tensor, state: tuple[Tensor, Tensor]):
        x, mask = torch.cat([state[0], x], 1), torch.cat([state[1], mask], 1)
        steps = x.shape[1] - self.latency
        return x[:, :steps], mask[:, :steps], (x[:, steps:], mask[:, steps:])


class Pair(NamedTuple):
    a: Tensor
    b: tuple[Tensor, tuple]


def states() -> Pair:
    return Pair(torch.arange(6.0).view(3, 2), (torch.arange(3), ()))


def test_strides_multiply_and_latencies_add_up():
    mel = LogMel(800, 6, 20, 8)
    sub = ConvSubsampling(6, 8, 2)
    stack_ = Serial(mel, sub, ChunkAttention(8, 2, 3, 6, 2), ChunkAttention(8, 2, 2, 6, 1))
    assert (stack_.stride, stack_.latency, stack_.block) == (32, 3 * 2 + 2, 32 * 6)
    assert stack_.lookahead == 32 * 8 + 32 * 6 - 1
    assert (Serial().stride, Serial().latency, Serial().block) == (1, 0, 1)
    # Two steps of look-ahead before a stride of 4 would be half an output step.
    early = Serial(Delay(4), sub)
    assert early.latency == 1


def test_a_latency_that_splits_a_block_is_refused():
    with pytest.raises(ValueError, match="ConvSubsampling works in blocks of 4 steps and cannot follow a latency of 2"):
        _ = Serial(Delay(2), ConvSubsampling(6, 8, 2)).latency


@pytest.mark.parametrize("blocks", [[1], [3], [2, 1, 5]])
def test_a_residual_waits_for_its_body(blocks):
    residual = Residual(Delay(3), 1, scale=0.5)
    assert (residual.latency, residual.block, residual.stride) == (3, 1, 1)
    x = torch.randn(2, 9, 1)
    y, mask, _ = run_steps(residual, x, torch.ones(2, 9, dtype=torch.bool), blocks)
    torch.testing.assert_close(y[:, :9], 1.5 * x)
    assert mask[:, :9].all()


def test_a_residual_needs_a_body_of_stride_1():
    with pytest.raises(ValueError, match="body of stride 1, got 4"):
        Residual(ConvSubsampling(6, 6, 2), 6)


def test_masks():
    assert lengths_to_mask(torch.tensor([0, 2, 3]), 3).tolist() == [[False] * 3, [True, True, False], [True] * 3]
    mask = lengths_to_mask(torch.tensor([1, 5, 6]), 6)
    assert mask_stride(mask, 4).tolist() == [[True, False], [True, True], [True, True]]
    x = torch.tensor([[1.0, float("nan"), float("inf")]])[..., None]
    masked = apply_mask(x, torch.tensor([[True, False, False]]))
    assert masked[0, :, 0].tolist() == [1.0, 0.0, 0.0]
    for dtype in (torch.float16, torch.float64):
        assert apply_mask(x.to(dtype), torch.ones(1, 3, dtype=torch.bool)).dtype == dtype


def test_select_keeps_the_structure_and_takes_rows_more_than_once():
    for rows in ([2, 0, 2], torch.tensor([2, 0, 2])):
        chosen = select(states(), rows)
        assert isinstance(chosen, Pair) and chosen.b[1] == ()
        assert chosen.a.tolist() == [[4.0, 5.0], [0.0, 1.0], [4.0, 5.0]]
        assert chosen.b[0].tolist() == [2, 0, 2]


def test_stack_and_split_are_inverses():
    parts = split(states())
    assert len(parts) == 3 and all(batch_size(part) == 1 for part in parts)
    together = stack(parts)
    assert isinstance(together, Pair)
    assert all(torch.equal(a, b) for a, b in zip(flat(together), flat(states()), strict=True))
    back = stack(parts[::-1])
    assert back.b[0].tolist() == [2, 1, 0]


def test_batch_size_of_a_state_without_tensors():
    assert batch_size(()) == 0 and split(()) == []
    assert batch_size(((), (torch.zeros(4, 0),))) == 4


def test_set_chunk_reaches_every_stage():
    model = Serial(Pointwise(nn.Linear(8, 8)), ConformerLayer(8, 2, 12, 5, 4, 6), ChunkAttention(8, 2, 4, 6))
    set_chunk(model, 2)
    assert model.block == 2
    set_chunk(model, 8)
    assert model.block == 8


def test_set_chunk_leaves_alone_what_only_has_a_number_of_that_name():
    class Cutter(Pointwise):
        chunk = 3

    model = Serial(Cutter(nn.Identity()), ChunkAttention(8, 2, 4, 6))
    model.stages[0].chunk = 5
    set_chunk(model, 2)
    assert (model.stages[0].chunk, model.stages[1].chunk, model.block) == (5, 2, 2)


def test_states_and_side_inputs_may_be_mappings():
    state = {"b": states(), "a": torch.arange(3)}
    chosen = select(state, [2, 0])
    assert chosen["a"].tolist() == [2, 0] and isinstance(chosen["b"], Pair)
    parts = split({"a": state["a"], "b": state["b"]})
    assert batch_size(state) == 3 and batch_size(parts[0]) == 1
    back = stack([parts[0], {"b": parts[1]["b"], "a": parts[1]["a"]}, parts[2]])
    assert all(torch.equal(a, b) for a, b in zip(flat(back), flat(state), strict=True))


def test_shared_weights_are_shared_and_chunks_are_not():
    layer = ConformerLayer(8, 2, 12, 5, 4, 6)
    other = share_weights(layer)
    set_chunk(other, 2)
    assert (layer.block, other.block) == (4, 2)
    for a, b in zip(layer.state_dict().values(), other.state_dict().values(), strict=True):
        assert a.data_ptr() == b.data_ptr()


def test_a_plain_stage_asks_for_its_methods():
    stage = Streaming()
    for call in (lambda: stage(None, None), lambda: stage.init_state(1, None), lambda: stage.step(None, None, ())):
        with pytest.raises(NotImplementedError):
            call()
