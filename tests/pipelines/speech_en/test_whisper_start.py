"""The streaming encoder that starts from Whisper's is Whisper's where one chunk holds all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipelines.speech_en.whisper_start import causal, whisper_encoder
from transducer.cores.sinusoidal_transformer import SinusoidalTransformerConfig
from transducer.encoders.conv_stem import ConvStem
from transducer.encoders.whisper import WhisperEncoder
from transducer.errors import UsageError
from transducer.model.sequence import Serial, set_chunk


def test_with_one_chunk_for_all_it_is_whispers_encoder():
    torch.manual_seed(0)
    theirs = WhisperEncoder(5, 8, 2, 2, 12, longest=10).eval()
    for parameter in theirs.parameters():  # norms and biases are ones and zeros at first
        torch.nn.init.normal_(parameter, std=0.3)
    ours = Serial(ConvStem(5, 8), *SinusoidalTransformerConfig(8, 2, 12, 2, 10, 0, 10).build()).eval()
    ours.load_state_dict(causal(theirs))
    set_chunk(ours, 10)
    power, mask = torch.randn(1, 20, 5), torch.ones(1, 20, dtype=torch.bool)
    power[:, 0] = -4.0  # which is 0 to the convolutions: ours is a step late, and hears it as what was before the first
    x = (power + 4) / 4
    later = torch.cat([x[:, 1:], torch.zeros(1, 1, 5)], dim=1)
    assert (ours(later, mask)[0] - theirs(power, mask)[0]).abs().max() < 1e-5


def test_a_model_of_another_family_is_told():
    with pytest.raises(UsageError, match="shots has no encoder of Whisper's to start from"):
        whisper_encoder(Path("shots"))
