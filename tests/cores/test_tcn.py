"""Dilated convolutions against torch's, and look-ahead shared out among layers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from transducer.cores.recurrent import RecurrentConfig
from transducer.cores.tcn import DilatedConv, TCNConfig, spread_look_ahead
from transducer.cores.transformer import TransformerConfig
from transducer.encoders.frame_cnn import FrameCNNConfig
from transducer.frontends.frames import FramesConfig
from transducer.model.config import ModelConfig
from transducer.model.network import Network

FRAMES = {"frontend": FramesConfig(2, 2), "encoder": FrameCNNConfig(widths=(2,), grid=(1, 1)), "heads": {}}


@pytest.mark.parametrize(("kernel", "dilation", "look_ahead"), [(1, 1, 0), (3, 1, 0), (3, 4, 4), (5, 2, 3), (4, 3, 9)])
def test_a_dilated_convolution_is_torchs(kernel, dilation, look_ahead):
    torch.manual_seed(0)
    conv = DilatedConv(3, kernel, dilation, look_ahead).double()
    conv.bias.data.normal_()
    x = torch.randn(2, 11, 3, dtype=torch.float64)
    padded = nn.functional.pad(x.transpose(1, 2), (conv.span - look_ahead, look_ahead))
    wanted = nn.functional.conv1d(padded, conv.weight.T[:, None], conv.bias, dilation=dilation, groups=3)
    y, _ = conv(x, torch.ones(2, 11, dtype=torch.bool))
    torch.testing.assert_close(y, wanted.transpose(1, 2))


@pytest.mark.parametrize("look_ahead", [-1, 9])
def test_a_convolution_looks_no_further_than_it_reaches(look_ahead):
    with pytest.raises(ValueError, match="over 9 steps cannot look"):
        DilatedConv(3, 3, 4, look_ahead)


@given(kernel=st.integers(1, 7), dilations=st.lists(st.integers(1, 16), max_size=8), data=st.data())
def test_look_ahead_is_spread(kernel, dilations, data):
    reach = (kernel - 1) * sum(dilations)
    look_ahead = data.draw(st.integers(0, reach))
    shares = spread_look_ahead(look_ahead, kernel, dilations)
    assert len(shares) == len(dilations)
    assert sum(shares) == look_ahead
    assert all(0 <= share <= (kernel - 1) * dilation for share, dilation in zip(shares, dilations, strict=True))
    with pytest.raises(ValueError, match=f"reach over {reach} steps"):
        spread_look_ahead(reach + 1, kernel, dilations)


@pytest.mark.parametrize("look_ahead", [0, 1, 7, 12, 30])
def test_a_models_latency_is_the_look_ahead_asked_for(look_ahead):
    network = Network(ModelConfig(**FRAMES, core=TCNConfig(4, 4, 4, 5, (1, 2, 4), look_ahead)))
    assert network.encoder.latency == look_ahead


def test_cores_in_a_row():
    tcn, gru = TCNConfig(4, 4, 2, 3, (1,), 3), RecurrentConfig("gru", 4, 2)
    network = Network(ModelConfig(**FRAMES, core=(tcn, gru)))
    assert network.encoder.latency == 3
    assert [type(stage).__name__ for stage in network.encoder.stages] == [
        "FrameCNN",
        *["TCNLayer"] * 2,
        *["RecurrentLayer"] * 2,
    ]
    with pytest.raises(ValueError, match=r"need the same channels, got \[4, 8\]"):
        Network(ModelConfig(**FRAMES, core=(tcn, RecurrentConfig("gru", 8))))
    attention = TransformerConfig(4, 2, 4, 1, chunk=2)
    with pytest.raises(ValueError, match="make the look-ahead before it a multiple of its block"):
        _ = Network(ModelConfig(**FRAMES, core=(tcn, attention))).encoder.latency
