"""Samples as features, and how loud they are; the law is in tests/model/test_registry.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from transducer.frontends.waveform import Waveform, levels
from transducer.frontends.whisper_mel import WhisperMel


def test_steps_are_the_samples():
    samples = torch.arange(10.0)[None, :, None]
    features, mask = Waveform(4)(samples, torch.ones(1, 10, dtype=torch.bool))
    assert features.tolist() == [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 0]]] and mask.all()
    with pytest.raises(ValueError, match="at least 1 sample"):
        Waveform(0)


@pytest.mark.parametrize("hop", [80, 128, 320])
def test_noise_is_as_loud_as_to_whispers_front_end(hop):
    samples = 0.03 * torch.randn(1, 32000, 1, generator=torch.Generator().manual_seed(0))
    whole = torch.ones(1, 32000, dtype=torch.bool)
    features = Waveform(hop)(samples, whole)[0].numpy()
    found = levels(features)
    assert found.shape == (1, 32000 // hop, hop // 16)
    expected = WhisperMel(80)(samples, whole)[0]
    assert abs(found.mean() - float(expected.mean())) < 0.3
    assert np.array_equal(levels(features[:, 7:10]), found[:, 7:10])
    assert (levels(np.zeros((3, hop), np.float32)) == -10).all()
