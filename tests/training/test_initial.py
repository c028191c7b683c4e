"""The log-mel front-end is normalised by what it is trained on, alone or beside pictures."""

import numpy as np
import torch

from transducer.cores.recurrent import RecurrentConfig
from transducer.data.pairs import Pair
from transducer.encoders.conv_subsampling import ConvSubsamplingConfig
from transducer.encoders.frame_cnn import FrameCNNConfig
from transducer.encoders.fusion import FusionConfig
from transducer.frontends.audio_visual import AudioVisualConfig
from transducer.frontends.frames import FramesConfig
from transducer.frontends.logmel import LogMelConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.training.initial import measure_inputs

PIXELS, SAMPLES = 8 * 8 * 3, 640


class Clips:
    """Pictures of random bytes, and noise that gets louder from clip to clip; with pictures or without."""

    def __init__(self, pictures: bool):
        self.pictures = pictures

    def __len__(self) -> int:
        return 3

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        draw = np.random.default_rng(index)
        sound = (0.1 * (index + 1) * draw.standard_normal((10, SAMPLES))).astype(np.float32)
        pixels = draw.integers(0, 256, (10, PIXELS)).astype(np.float32)
        x = np.concatenate([pixels, sound], axis=1) if self.pictures else sound.reshape(-1, 1)
        return Pair(x, np.zeros(10, dtype=np.int64), str(index))


def network(pictures: bool) -> Network:
    audio = LogMelConfig(), ConvSubsamplingConfig(4)
    both = AudioVisualConfig(FramesConfig(8, 8), audio[0], SAMPLES), FusionConfig(FrameCNNConfig((4,)), audio[1])
    frontend, encoder = both if pictures else audio
    return Network(
        ModelConfig(
            frontend=frontend,
            encoder=encoder,
            core=RecurrentConfig("gru", 8, 1),
            heads={"labels": FramewiseConfig()},
            units={"labels": 2},
        )
    )


def test_pictures_beside_it_change_nothing():
    with_pictures, alone = network(True), network(False)
    measure_inputs(with_pictures, Clips(True))
    measure_inputs(alone, Clips(False))
    mel = with_pictures.frontend.audio
    assert torch.allclose(mel.mean, alone.frontend.mean, atol=1e-4)
    assert torch.allclose(mel.std, alone.frontend.std, atol=1e-4)
    assert mel.mean.abs().max() > 1
