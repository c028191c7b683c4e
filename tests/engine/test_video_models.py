"""Whole models of video: their configs and checkpoints, and a step of training in bfloat16."""

from __future__ import annotations

import json

import pytest
import torch
from checkpoints import edit_config

from transducer.cores.conformer import ConformerConfig
from transducer.cores.recurrent import RecurrentConfig
from transducer.cores.tcn import TCNConfig
from transducer.cores.transformer import TransformerConfig
from transducer.encoders.conv_subsampling import ConvSubsamplingConfig
from transducer.encoders.frame_cnn import FrameCNNConfig
from transducer.encoders.fusion import FusionConfig
from transducer.errors import CheckpointError
from transducer.frontends.audio_visual import AudioVisualConfig
from transducer.frontends.frames import FramesConfig
from transducer.frontends.logmel import LogMelConfig
from transducer.heads.ctc import CTCConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.heads.pooled import PooledConfig
from transducer.heads.rnnt import RNNTConfig
from transducer.model.checkpoint import load_checkpoint, save_checkpoint
from transducer.model.config import ModelConfig, from_json, to_json
from transducer.model.network import Network
from transducer.model.packing import pack_linears
from transducer.model.sequence import Serial
from transducer.text.tokenizers.labels import Labels

LABELS = Labels(["cut", "slow dissolve"])
FRAMES = FramesConfig(8, 10)
CNN = FrameCNNConfig(widths=(4, 6), blocks=(0, 1), grid=(2, 2), similarity=3)
HEADS = {"framewise": FramewiseConfig(), "pooled": PooledConfig(hidden=5), "ctc": CTCConfig("labels")}
VIDEO = ModelConfig(
    FRAMES, CNN, (TCNConfig(8, 12, 2, 3, (1, 2), 3), RecurrentConfig("gru", 8, 1)), HEADS, {"labels": 3}
)
BOTH = ModelConfig(
    AudioVisualConfig(FRAMES, LogMelConfig(rate=800, bins=6, window=20, hop=8), 64),
    FusionConfig(CNN, ConvSubsamplingConfig(3)),
    TransformerConfig(8, 2, 12, 2, 2, 6),
    {"rnnt": RNNTConfig("labels", "stateless", 6), **HEADS},
    {"labels": 3},
)
MODELS = pytest.mark.parametrize("config", [VIDEO, BOTH], ids=["video", "audiovisual"])


def clip(network: Network, steps: int = 9) -> torch.Tensor:
    """(1, T, C): bytes, and for both media also samples."""
    torch.manual_seed(1)
    pixels = torch.randint(0, 256, (1, steps, 240))
    if network.config is BOTH or isinstance(network.config.frontend, AudioVisualConfig):
        return torch.cat([pixels.float(), torch.randn(1, steps, 64)], dim=-1)
    return pixels.to(torch.uint8)


def outputs(network: Network) -> list[torch.Tensor]:
    x = clip(network)
    with torch.inference_mode():
        y = network.encoder(*network.frontend(x, torch.ones(1, x.shape[1], dtype=torch.bool)))
        return [head(*y)[0] for head in network.heads.values()]


@MODELS
def test_a_config_goes_to_json_and_back(config):
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


def test_a_config_of_before_there_was_video_still_loads():
    data = to_json(ModelConfig())
    assert data["core"]["type"] == "conformer"
    model = from_json(data)
    assert model.core == ConformerConfig()
    assert model.cores == (ConformerConfig(),)


@MODELS
@pytest.mark.parametrize("storage", [torch.float16, torch.int8])
def test_a_checkpoint_gives_the_same_model(config, storage, tmp_path):
    torch.manual_seed(0)
    network = Network(config).eval()
    save_checkpoint(tmp_path / "model", network, config, {"labels": LABELS}, storage)
    loaded, units = load_checkpoint(tmp_path / "model")
    assert units["labels"].tokens == LABELS.tokens
    assert loaded.config == config
    tolerance = {"rtol": 0.02, "atol": 0.02} if storage == torch.float16 else {"rtol": 0.2, "atol": 0.2}
    for ours, theirs in zip(outputs(network), outputs(loaded), strict=True):
        torch.testing.assert_close(ours, theirs, **tolerance)
    plain = outputs(loaded)
    pack_linears(loaded)
    for ours, theirs in zip(plain, outputs(loaded), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_parts_that_do_not_fit_are_a_damaged_checkpoint(tmp_path):
    save_checkpoint(tmp_path / "model", Network(VIDEO), VIDEO, {"labels": LABELS})
    edit_config(tmp_path / "model", encoder=to_json(ConvSubsamplingConfig()))
    with pytest.raises(CheckpointError, match="cannot be built: ConvSubsamplingConfig does not encode"):
        load_checkpoint(tmp_path / "model")


@MODELS
def test_bytes_stream_as_they_do_at_once(config):
    torch.manual_seed(0)
    network = Network(config).eval().requires_grad_(False)
    stages = Serial(network.frontend, network.encoder, network.heads["framewise"])
    x = clip(network, 8)
    mask = torch.ones(1, 8, dtype=torch.bool)
    whole, _ = stages(x, mask)
    x = torch.cat([x, torch.zeros(1, 4, x.shape[2], dtype=x.dtype)], dim=1)
    mask = torch.cat([mask, torch.zeros(1, 4, dtype=torch.bool)], dim=1)
    state, found = stages.init_state(1, torch.zeros(())), []
    for start in range(0, 12, 2):
        y, _, state = stages.step(x[:, start : start + 2], mask[:, start : start + 2], state)
        found.append(y)
    found = torch.cat(found, dim=1)[:, stages.latency : stages.latency + 8]
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-5)


@MODELS
def test_a_step_of_training_in_bfloat16(config):
    torch.manual_seed(0)
    network = Network(config).train()
    x = clip(network).expand(2, -1, -1)
    mask = torch.arange(9) < torch.tensor([[9], [6]])
    labels = torch.where(mask, torch.randint(0, 3, mask.shape), -1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    losses = []
    for _ in range(8):
        with torch.autocast("cpu", torch.bfloat16):
            y, y_mask = network.encoder(*network.frontend(x, mask))
            framewise = network.heads["framewise"](y, y_mask)[0]
            pooled = network.heads["pooled"](y, y_mask)[0]
            ctc = network.heads["ctc"](y, y_mask)[0]
        loss = (
            network.heads["framewise"].loss(framewise, y_mask, list(labels.numpy()), torch.tensor([0.5, 1.0, 2.0])).mean
        )
        loss = loss + network.heads["pooled"].loss(pooled, y_mask, [1, 2]).mean
        loss = loss + network.heads["ctc"].loss(ctc, y_mask, [[1, 2], [2]]).mean
        if "rnnt" in network.heads:
            with torch.autocast("cpu", torch.bfloat16):
                frames = network.heads["rnnt"](y, y_mask)[0]
            loss = loss + network.heads["rnnt"].loss(frames, y_mask, [[1, 2], [2]]).mean
        optimizer.zero_grad()
        loss.backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
