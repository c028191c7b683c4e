"""Cores and encoders against references: torch.nn, and loops that do what the definition says."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from transducer.cores.attention import ROTARY_PERIOD, ChunkAttention, rotary, rotate
from transducer.cores.layers import CausalConvModule, FeedForward
from transducer.cores.recurrent import KINDS, RecurrentLayer
from transducer.encoders.conv_subsampling import ConvSubsampling


def double(module: nn.Module, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    module = module.double().eval().requires_grad_(False)
    for parameter in module.parameters():
        parameter += 0.1 * torch.randn_like(parameter)
    return module


def everything(x: torch.Tensor) -> torch.Tensor:
    return torch.ones(x.shape[:2], dtype=torch.bool)


def turned(x: torch.Tensor, position: int) -> torch.Tensor:
    """Rotary positions by complex numbers: the pair (i, i + D / 2) as one, times exp(i angle)."""
    half = x.shape[-1] // 2
    fastest = ROTARY_PERIOD / (2 * math.pi)
    turns = [round(fastest ** (1 - i / max(half - 1, 1))) for i in range(half)]
    angle = torch.tensor([2 * math.pi * position * n / ROTARY_PERIOD for n in turns], dtype=torch.float64)
    z = torch.complex(x[..., :half], x[..., half:]) * torch.exp(1j * angle)
    return torch.cat([z.real, z.imag], dim=-1)


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 9), st.integers(0, 2))
def test_attention_sees_what_it_says(steps, chunk, left, ahead):
    """A query alone with its keys: its chunk, `left_context` steps before it, `look_ahead` chunks after it."""
    attention = double(ChunkAttention(8, 2, chunk, left, ahead))
    x = torch.randn(steps, 8, dtype=torch.float64)
    ours, _ = attention(x[None], everything(x[None]))
    qkv = attention.qkv(x).view(steps, 3, 2, 4)  # (T, 3, H, D)
    for t in range(steps):
        start = t // chunk * chunk
        seen = range(max(0, start - left), min(steps, start + (ahead + 1) * chunk))
        heads = []
        for head in range(2):
            q = turned(qkv[t, 0, head], t)
            scores = torch.stack([q @ turned(qkv[s, 1, head], s) / 2.0 for s in seen])
            heads.append(scores.softmax(0) @ torch.stack([qkv[s, 2, head] for s in seen]))
        torch.testing.assert_close(ours[0, t], attention.out(torch.cat(heads)), rtol=1e-9, atol=1e-9)


def test_attention_over_one_chunk_is_torchs():
    """With positions switched off (all turned alike), full attention as nn.MultiheadAttention does it."""
    attention = double(ChunkAttention(12, 3, chunk=20, left_context=0))
    reference = double(nn.MultiheadAttention(12, 3, batch_first=True))
    reference.in_proj_weight.copy_(attention.qkv.weight)
    reference.in_proj_bias.copy_(attention.qkv.bias)
    reference.out_proj.weight.copy_(attention.out.weight)
    reference.out_proj.bias.copy_(attention.out.bias)
    x = torch.randn(2, 20, 12, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transducer.cores.attention.rotate", lambda x, turn: x)
        ours, _ = attention(x, everything(x))
    torch.testing.assert_close(ours, reference(x, x, x)[0], rtol=1e-9, atol=1e-9)


def test_rotary_scores_depend_on_distance_only_and_never_run_out():
    q, k = torch.randn(2, 6, dtype=torch.float64)
    for distance in (0, 1, 77):
        scores = [
            rotate(q, rotary(torch.tensor(p + distance), 6, q.dtype)) @ rotate(k, rotary(torch.tensor(p), 6, k.dtype))
            for p in (0, 5, ROTARY_PERIOD - 1, ROTARY_PERIOD)
        ]
        torch.testing.assert_close(torch.stack(scores), torch.stack(scores[:1] * 4), rtol=1e-9, atol=1e-9)


def test_a_stream_goes_on_over_the_rotary_period():
    attention = double(ChunkAttention(8, 2, 4, 6))
    x = torch.randn(1, 40, 8, dtype=torch.float64)
    expected, _ = attention(x, everything(x))
    state = attention.init_state(1, x)._replace(position=torch.tensor([ROTARY_PERIOD - 13]))
    outputs = []
    for start in range(0, 40, 4):
        y, _, state = attention.step(x[:, start : start + 4], everything(x[:, :4]), state)
        outputs.append(y)
    torch.testing.assert_close(torch.cat(outputs, 1), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_recurrent_layers_are_torchs(kind):
    layer = double(RecurrentLayer(5, kind))
    x = torch.randn(3, 11, 5, dtype=torch.float64)
    expected, last = layer.rnn(x)
    ours, _ = layer(x, everything(x))
    torch.testing.assert_close(ours, expected)
    _, _, state = layer.step(x, everything(x), layer.init_state(3, x))
    hidden, cell = last if kind == "lstm" else (last, None)
    torch.testing.assert_close(state.hidden, hidden[0])
    if cell is not None:
        torch.testing.assert_close(state.cell, cell[0])


def test_lstm_equals_its_equations():
    layer = double(RecurrentLayer(4, "lstm"))
    x = torch.randn(1, 6, 4, dtype=torch.float64)
    rnn, h, c = layer.rnn, torch.zeros(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    ours, _ = layer(x, everything(x))
    for t in range(6):
        gates = rnn.weight_ih_l0 @ x[0, t] + rnn.bias_ih_l0 + rnn.weight_hh_l0 @ h + rnn.bias_hh_l0
        i, f, g, o = gates.chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        torch.testing.assert_close(ours[0, t], h, rtol=1e-9, atol=1e-9)


def test_a_row_of_a_recurrent_layer_does_not_notice_when_others_end():
    torch.manual_seed(0)
    layer = RecurrentLayer(8, "lstm").eval()
    x = torch.randn(3, 5, 8)
    state = layer.init_state(3, x)
    full, _, _ = layer.step(x, everything(x), state)
    for others in ([5, 2, 0], [5, 0, 0], [5, 3, 4]):
        mask = torch.arange(5)[None] < torch.tensor(others)[:, None]
        y, _, _ = layer.step(x, mask, state)
        assert torch.equal(y[0], full[0])


def test_convolution_module_equals_a_loop():
    module = double(CausalConvModule(4, kernel=5))
    x = torch.randn(9, 4, dtype=torch.float64)
    ours, _ = module(x[None], everything(x[None]))
    value, gate = module.gate(x).chunk(2, dim=-1)
    gated = value * gate.sigmoid()
    for t in range(9):
        y = module.depthwise.bias.clone()
        for k in range(5):
            if t - 4 + k >= 0:
                y += module.depthwise.weight[:, 0, k] * gated[t - 4 + k]
        expected = module.out(nn.functional.silu(module.norm(y)))
        torch.testing.assert_close(ours[0, t], expected, rtol=1e-9, atol=1e-9)


def test_feed_forward():
    module = double(FeedForward(4, 6, dropout=0.5))
    x = torch.randn(3, 4, dtype=torch.float64)
    hidden = x @ module[0].weight.T + module[0].bias
    expected = hidden * hidden.sigmoid() @ module[-1].weight.T + module[-1].bias
    torch.testing.assert_close(module(x), expected)


def test_subsampling_equals_a_loop():
    """Two 3x3 convolutions of stride 2; in time each sees its two inputs and the one before them."""
    module = double(ConvSubsampling(bins=5, channels=3, hidden=2))
    x = torch.randn(10, 5, dtype=torch.float64)
    ours, mask = module(x[None], everything(x[None]))
    assert ours.shape == (1, 3, 3) and mask.all()

    def convolve(inputs: torch.Tensor, conv: nn.Conv2d) -> torch.Tensor:
        """(T, F, C) -> (ceil(T / 2), ceil(F / 2), C')"""
        steps, bins = inputs.shape[:2]
        out = torch.zeros(-(-steps // 2), -(-bins // 2), conv.out_channels, dtype=torch.float64)
        for t in range(out.shape[0]):
            for f in range(out.shape[1]):
                y = conv.bias.clone()
                for i in range(3):
                    for j in range(3):
                        time, bin = 2 * t - 1 + i, 2 * f - 1 + j
                        if 0 <= time < steps and 0 <= bin < bins:
                            y += conv.weight[:, :, i, j] @ inputs[time, bin]
                out[t, f] = y.clamp(min=0)
        return out

    hidden = convolve(convolve(x[..., None], module.conv1), module.conv2)  # (T / 4, F / 4, C)
    torch.testing.assert_close(ours[0], module.out(hidden.flatten(1)), rtol=1e-9, atol=1e-9)


def test_dropout_changes_no_names_of_weights():
    """So that training with dropout starts from all of a network that has none, and not from parts of it."""
    plain, dropping = FeedForward(4, 6), FeedForward(4, 6, 0.5)
    assert plain.state_dict().keys() == dropping.state_dict().keys()
    dropping.load_state_dict(plain.state_dict())
    x = torch.randn(3, 4)
    assert torch.equal(plain(x), dropping.eval()(x)) and not torch.equal(plain(x), dropping.train()(x))
