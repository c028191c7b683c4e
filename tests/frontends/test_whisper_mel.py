"""Whisper's front-end against torch's spectrogram and transformers; streaming is tests/model/test_registry.py."""

from __future__ import annotations

import pytest
import torch

from transducer.encoders.whisper import WhisperEncoder
from transducer.frontends.whisper_mel import WhisperMel


def samples(count: int) -> torch.Tensor:
    torch.manual_seed(0)
    return 0.1 * torch.randn(count)


def features(frontend: WhisperMel, x: torch.Tensor) -> torch.Tensor:
    return frontend(x[None, :, None], torch.ones(1, len(x), dtype=torch.bool))[0][0]


@pytest.mark.parametrize(("bins", "count"), [(80, 16077), (128, 480), (80, 3)])
def test_frames_are_those_of_torchs_centred_spectrogram(bins, count):
    """Of the samples and silence after them."""
    frontend, x = WhisperMel(bins).double(), samples(count).double()
    ours = features(frontend, x)
    assert ours.shape == (-(-count // 160), bins)
    window = torch.hann_window(400, dtype=torch.float64)
    spectrum = torch.stft(torch.nn.functional.pad(x, (0, 800)), 400, 160, window=window, return_complex=True)
    power = spectrum.abs().square().T[: len(ours)] @ frontend.filters
    torch.testing.assert_close(ours, power.clamp(min=1e-10).log10(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("bins", [80, 128])
def test_scaled_by_the_encoder_they_are_those_of_transformers(bins):
    transformers = pytest.importorskip("transformers")
    x = samples(32000)
    theirs = transformers.WhisperFeatureExtractor(bins)(x.numpy(), sampling_rate=16000, return_tensors="pt")
    ours = features(WhisperMel(bins), x)
    scaled = WhisperEncoder._scaled(ours[None], torch.ones(1, len(ours), dtype=torch.bool))[0]
    torch.testing.assert_close(scaled, theirs.input_features[0, :, :200].T, rtol=0, atol=1e-4)


def test_silence_is_the_floor():
    assert torch.equal(features(WhisperMel(), torch.zeros(800)), torch.full((5, 80), -10.0))


def test_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match="a window is even and no shorter than its hop, got 401 and 160"):
        WhisperMel(window=401)
