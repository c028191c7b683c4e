"""Whisper's encoder, chunk-causal: the law, positions that begin again, the published one where chunks are whole."""

from __future__ import annotations

import pytest
import torch
from contract import verify_contract

from transducer.cores.sinusoidal_transformer import SinusoidalPositions, SinusoidalTransformerConfig
from transducer.encoders.conv_stem import ConvStem
from transducer.model.sequence import Serial, set_chunk


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


def test_with_one_chunk_for_all_it_is_whispers_encoder():
    transformers = pytest.importorskip("transformers", reason="the published encoder is not installed")
    sizes = transformers.WhisperConfig(
        num_mel_bins=5, d_model=8, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=12,
        max_source_positions=10, dropout=0.0,
    )  # fmt: skip
    torch.manual_seed(0)
    theirs = transformers.models.whisper.modeling_whisper.WhisperEncoder(sizes).eval()
    for parameter in theirs.parameters():  # its norms and biases are ones and zeros at first
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    ours = Serial(ConvStem(5, 8), *SinusoidalTransformerConfig(8, 2, 12, 2, 10, 0, 10).build()).eval()
    ours.load_state_dict(named(theirs))
    set_chunk(ours, 10)
    x = torch.randn(1, 20, 5)
    x[:, 0] = 0.0  # ours is one step late, and hears this step as the one before the first
    later = torch.cat([x[:, 1:], torch.zeros(1, 1, 5)], dim=1)
    found = ours(later, torch.ones(1, 20, dtype=torch.bool))[0]
    expected = theirs(x.transpose(1, 2)).last_hidden_state
    assert (found - expected).abs().max() < 1e-5


def named(theirs) -> dict[str, torch.Tensor]:
    """The weights of the published encoder as ours has them."""
    found = {f"stages.0.{name}": value for name, value in theirs.state_dict().items() if name.startswith("conv")}
    for number, layer in enumerate(theirs.layers):
        attention, norm = layer.self_attn, f"stages.{number + 2}.stages."
        parts = [attention.q_proj, attention.k_proj, attention.v_proj]
        biases = [part.bias if part.bias is not None else torch.zeros(8) for part in parts]
        modules = {
            "0.body.stages.0.module": layer.self_attn_layer_norm,
            "0.body.stages.1.out": attention.out_proj,
            "1.body.stages.0.module": layer.final_layer_norm,
            "1.body.stages.1.module.0": layer.fc1,
            "1.body.stages.1.module.3": layer.fc2,
        }
        found[f"{norm}0.body.stages.1.qkv.weight"] = torch.cat([part.weight for part in parts])
        found[f"{norm}0.body.stages.1.qkv.bias"] = torch.cat(biases)
        found |= {
            f"{norm}{name}.{key}": value for name, part in modules.items() for key, value in part.state_dict().items()
        }
    last = len(theirs.layers) + 2
    return found | {f"stages.{last}.module.{key}": value for key, value in theirs.layer_norm.state_dict().items()}
