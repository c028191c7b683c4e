"""Whisper's encoder, chunk-causal: the law, positions that begin again, the published one where chunks are whole."""

from __future__ import annotations

import pytest
import torch
from contract import verify_contract

from transducer.cores.sinusoidal_transformer import SinusoidalPositions, SinusoidalTransformerConfig
from transducer.encoders.conv_stem import ConvStem
from transducer.model.sequence import Serial


def stem() -> ConvStem:
    return ConvStem(3, 4)


def layers() -> Serial:
    return Serial(*SinusoidalTransformerConfig(4, 2, 6, 2, 3, 5, period=7).build())


@pytest.mark.parametrize(("make", "channels", "steps", "inner"), [(stem, 3, 18, False), (layers, 4, 21, True)])
def test_contract(make, channels, steps, inner):
    stage = make().double().eval()
    verify_contract(stage, channels, [steps, 4, 1], [2, 1], seed=0, inner=inner)


def test_positions_begin_again_after_their_period():
    positions, zeros, mask = (
        SinusoidalPositions(4, 5).eval(),
        torch.zeros(1, 12, 4),
        torch.ones(1, 12, dtype=torch.bool),
    )
    y = positions(zeros, mask)[0][0]
    assert torch.equal(y[:5], y[5:10]) and torch.equal(y[:2], y[10:])
    assert len(torch.unique(y[:5], dim=0)) == 5


def test_in_training_positions_begin_anywhere():
    positions, zeros, mask = (
        SinusoidalPositions(4, 50).train(),
        torch.zeros(9, 1, 4),
        torch.ones(9, 1, dtype=torch.bool),
    )
    torch.manual_seed(0)
    first = positions(zeros, mask)[0]
    assert len(torch.unique(first[:, 0], dim=0)) > 4
    torch.manual_seed(0)
    assert torch.equal(positions(zeros, mask)[0], first)
