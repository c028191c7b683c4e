"""Speech is heard in samples where it is heard in Whisper's features, whatever the length of a step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from transducer.frontends.waveform import RATE, levels
from transducer.frontends.whisper_mel import WhisperMel
from transducer.media import read_audio
from transducer.search.endpoint import Endpointer, EndpointRules
from transducer.search.full_context.build import AROUND, segmenter_of
from transducer.search.full_context.segmenter import Stretch

SAMPLE = Path(__file__).parents[3] / "sample_media" / "the-way.mp3"
HOPS = (80, 128, 320)


def segments(features: np.ndarray, hop: int, of=np.asarray) -> list[Stretch]:
    seconds = hop / RATE
    cutter = segmenter_of(seconds, Endpointer(EndpointRules(), seconds), of)
    state, found = cutter.step(cutter.init(), features)
    _, last = cutter.flush(state)
    return [*found, *([last] if last is not None else [])]


@pytest.mark.parametrize("hop", HOPS)
def test_segments_begin_and_end_where_those_of_whisper_do(hop: int) -> None:
    pause = np.zeros(RATE, np.float32)
    sound = np.concatenate([pause, read_audio(SAMPLE), pause])
    sound = sound[: len(sound) // 9600 * 9600]
    mel, _ = WhisperMel()(torch.from_numpy(sound)[None, :, None], torch.ones(1, len(sound), dtype=torch.bool))
    expected = segments(mel[0].numpy(), 160)
    found = segments(sound.reshape(-1, hop), hop, levels)
    assert len(found) == len(expected) > 0
    for ours, theirs in zip(found, expected, strict=True):
        assert abs(ours.begin * hop - theirs.begin * 160) < AROUND / 4 * RATE
        assert abs(ours.end * hop - theirs.end * 160) < AROUND / 4 * RATE
