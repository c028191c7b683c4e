"""Picture and sound in one stream: both go where they would go alone."""

from __future__ import annotations

import pytest
import torch

from transducer.cores.recurrent import RecurrentConfig
from transducer.encoders.conv_subsampling import ConvSubsamplingConfig
from transducer.encoders.frame_cnn import FrameCNNConfig
from transducer.encoders.fusion import Fusion, FusionConfig
from transducer.frontends.audio_visual import AudioVisual, AudioVisualConfig
from transducer.frontends.frames import FramesConfig
from transducer.frontends.logmel import LogMelConfig
from transducer.model.config import ModelConfig
from transducer.model.network import Network

MEL = LogMelConfig(rate=800, bins=6, window=20, hop=8)
FRAMES = FramesConfig(4, 6)
CNN = FrameCNNConfig(widths=(4,), grid=(1, 2))


def network(samples: int = 64, **parts) -> Network:
    torch.manual_seed(0)
    config = ModelConfig(
        **{
            "frontend": AudioVisualConfig(FRAMES, MEL, samples),
            "encoder": FusionConfig(CNN, ConvSubsamplingConfig(3)),
            "core": RecurrentConfig("gru", 8, 1),
            "heads": {},
            **parts,
        }
    )
    return Network(config).eval().requires_grad_(False)


@pytest.mark.parametrize("samples", [32, 64])
def test_the_parts_are_those_of_each_medium(samples):
    model = network(samples)
    frontend, fusion = model.frontend, model.encoder.stages[0]
    assert isinstance(frontend, AudioVisual)
    assert isinstance(fusion, Fusion)
    frames, steps = torch.rand(2, 7, FRAMES.height * FRAMES.width * 3) * 255, 7
    sound = torch.randn(2, 7 * samples)
    mask = torch.ones(2, steps, dtype=torch.bool)
    features, _ = frontend(torch.cat([frames, sound.view(2, steps, samples)], dim=-1), mask)
    pictures, _ = frontend.video(frames, mask)
    mel, _ = frontend.audio(sound[..., None], torch.ones(2, 7 * samples, dtype=torch.bool))
    assert torch.equal(features[..., : pictures.shape[-1]], pictures)
    torch.testing.assert_close(features[..., pictures.shape[-1] :].reshape(2, -1, MEL.bins), mel)
    seen, _ = fusion.video(pictures, mask)
    heard, _ = fusion.audio(mel, torch.ones(mel.shape[:2], dtype=torch.bool))
    both = torch.cat([seen, heard.reshape(2, steps, -1)], dim=-1)
    torch.testing.assert_close(fusion(features, mask)[0], fusion.out(both))
    assert model.hop == 1


def test_both_media_matter():
    model = network()
    x = torch.cat([torch.rand(1, 5, 72) * 255, torch.randn(1, 5, 64)], dim=-1).requires_grad_()
    features, mask = model.frontend(x, torch.ones(1, 5, dtype=torch.bool))
    model.encoder(features, mask)[0].square().sum().backward()
    assert x.grad[..., :72].abs().amax(dim=(0, 2)).all()
    assert x.grad[..., 72:].abs().amax(dim=(0, 2)).all()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"frontend": AudioVisualConfig(FRAMES, MEL, 20)}, "a multiple of the hop of 8, at most a second, got 20"),
        ({"frontend": AudioVisualConfig(FRAMES, MEL, 48)}, "a multiple of 4 hops of sound, got 6"),
        ({"frontend": MEL}, "FusionConfig does not encode the features of LogMel"),
        ({"encoder": CNN}, "FrameCNNConfig does not encode the features of AudioVisual"),
        ({"frontend": FRAMES, "encoder": ConvSubsamplingConfig()}, "ConvSubsamplingConfig does not encode .* Frames"),
    ],
)
def test_parts_that_do_not_fit(parts, message):
    with pytest.raises(ValueError, match=message):
        network(**parts)
