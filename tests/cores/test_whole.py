"""Cores that need the whole sequence, against torch's: bidirectional recurrent layers and attention to all."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from transducer.cores.bidirectional import BidirectionalConfig, BidirectionalLayer, reverse
from transducer.cores.full_attention import CentredConvModule, FullAttention
from transducer.cores.recurrent import KINDS
from transducer.errors import UsageError
from transducer.model.sequence import Serial, lengths_to_mask


def rows() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x (3, 9, 8) with NaN where nothing exists, the lengths, the mask."""
    torch.manual_seed(0)
    lengths = torch.tensor([9, 4, 1])
    mask = lengths_to_mask(lengths, 9)
    x = torch.randn(3, 9, 8, dtype=torch.float64)
    return torch.where(mask[..., None], x, float("nan")), lengths, mask


@pytest.mark.parametrize("kind", KINDS)
def test_both_directions_are_torchs(kind):
    x, lengths, mask = rows()
    layer = BidirectionalLayer(8, kind).double()
    reference = KINDS[kind](8, 4, batch_first=True, bidirectional=True).double()
    for name, weight in layer.forwards.state_dict().items():
        reference.state_dict()[name].copy_(weight)
        reference.state_dict()[f"{name}_reverse"].copy_(layer.backwards.state_dict()[name])
    packed = nn.utils.rnn.pack_padded_sequence(x.nan_to_num(), lengths, batch_first=True)
    expected, _ = nn.utils.rnn.pad_packed_sequence(reference(packed)[0], batch_first=True)
    torch.testing.assert_close(layer(x, mask)[0][mask], expected[mask])


@given(st.lists(st.integers(0, 6), min_size=1, max_size=4))
def test_reverse_twice_is_nothing(lengths):
    mask = lengths_to_mask(torch.tensor(lengths), 6)
    x = torch.arange(len(lengths) * 12.0).view(len(lengths), 6, 2)
    back = reverse(x, mask)
    for row, length in enumerate(lengths):
        assert torch.equal(back[row, :length], x[row, :length].flip(0))
        assert torch.equal(back[row, length:], x[row, length:])
    assert torch.equal(reverse(back, mask), x)


def test_full_attention_is_torchs():
    x, _, mask = rows()
    attention = FullAttention(8, 2).double().requires_grad_(False)
    reference = nn.MultiheadAttention(8, 2, batch_first=True).double().requires_grad_(False)
    for ours, theirs in ((attention.qkv, "in_proj_"), (attention.out, "out_proj.")):
        reference.state_dict()[f"{theirs}weight"].copy_(ours.weight)
        reference.state_dict()[f"{theirs}bias"].copy_(ours.bias)
    filled = x.nan_to_num()
    expected, _ = reference(filled, filled, filled, key_padding_mask=~mask)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transducer.cores.full_attention.rotate", lambda x, turn: x)
        ours, _ = attention(x, mask)
    torch.testing.assert_close(ours[mask], expected[mask])


def test_the_convolution_is_centred():
    module = CentredConvModule(4, 5).double()
    x = torch.randn(1, 11, 4, dtype=torch.float64, requires_grad=True)
    y, _ = module(x, torch.ones(1, 11, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(y[0, 5].square().sum(), x)
    assert gradient[0].abs().sum(-1).nonzero().flatten().tolist() == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("kind", KINDS)
def test_residuals_pass_a_gradient_through_many_layers(kind):
    """Of 24 layers on each other, a step's own output knows it; of plain ones it hardly does."""
    found = {}
    for residual in (False, True):
        torch.manual_seed(0)
        stage = Serial(*BidirectionalConfig(kind, 8, 24, residual=residual).build())
        x = torch.randn(1, 6, 8, requires_grad=True)
        y, _ = stage(x, torch.ones(1, 6, dtype=torch.bool))
        found[residual] = torch.autograd.grad(y.square().mean().sqrt(), x)[0].norm().item()
    assert found[True] > 100 * found[False]


def test_errors():
    with pytest.raises(UsageError, match="must be even, got 7"):
        BidirectionalConfig("gru", 7)
    with pytest.raises(ValueError, match="unknown kind of recurrent layer 'grue': there are rnn, lstm, gru"):
        BidirectionalLayer(8, "grue")
    with pytest.raises(ValueError, match="multiple of twice the heads"):
        FullAttention(6, 2)
