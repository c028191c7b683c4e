"""Image networks as encoders of frames: normalisation, what learns, and what a checkpoint keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from transducer.cores.recurrent import RecurrentConfig
from transducer.data.pairs import Pair
from transducer.encoders.images.encoder import ImageEncoder, ImageEncoderConfig
from transducer.encoders.images.resnet import ResNetConfig
from transducer.errors import CheckpointError, UsageError
from transducer.frontends.frames import Frames, FramesConfig
from transducer.heads.pooled import PooledConfig
from transducer.model.checkpoint import load_checkpoint
from transducer.model.config import ModelConfig
from transducer.text.tokenizers.labels import Labels
from transducer.training.initial import build_network
from transducer.training.objectives import HeadLoss
from transducer.training.optimizer import Optimizers
from transducer.training.recipe import Phase, Recipe
from transducer.training.run import train

SMALL = ResNetConfig(18, 4)


class Colours:
    """Clips of a red or a green wall."""

    def __len__(self) -> int:
        return 8

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        x = np.random.default_rng(index).integers(0, 120, (3, 12 * 10, 3)).astype(np.uint8)
        x[..., index % 2] += 120
        return Pair(x.reshape(3, -1), 1 + index % 2, str(index))


def recipe(encoder: ImageEncoderConfig, steps: int = 12) -> Recipe:
    return Recipe(
        name="walls",
        model=ModelConfig(
            frontend=FramesConfig(12, 10),
            encoder=encoder,
            core=RecurrentConfig("gru", 8, 1),
            heads={"labels": PooledConfig("labels")},
            chunks=(1,),
        ),
        units={"labels": Labels(["red", "green"])},
        train=Colours(),
        dev=Colours(),
        phases=(Phase("train", steps, (HeadLoss("labels"),), batch_frames=12, warmup=2, bf16=False),),
        workers=0,
        evaluate_every=0,
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """Random weights in a file, with statistics that are neither 0 nor 1, some too large for half precision."""
    torch.manual_seed(0)
    weights = SMALL.build(12, 10).state_dict()
    for name, value in weights.items():
        if name.endswith(("mean", "bias")):
            value.normal_()
        elif name.endswith("var"):
            value.uniform_(0.5, 2)
    weights["layer4.1.bn2.running_var"].fill_(1e5)
    path = tmp_path_factory.mktemp("weights") / "resnet.safetensors"
    save_file(weights, path)
    return path


def test_pictures_are_normalised_as_the_weights_want_them():
    """From bytes to what the network sees: (p / 255 - mean) / std."""
    frontend = Frames(6, 5)
    encoder = ImageEncoderConfig(SMALL).build(frontend, 8)
    seen: list[torch.Tensor] = []
    encoder.network.register_forward_hook(lambda module, args, output: seen.append(args[0]))
    pixels = torch.randint(0, 256, (1, 2, 6 * 5 * 3), dtype=torch.uint8)
    encoder(*frontend(pixels, torch.ones(1, 2, dtype=torch.bool)))
    images = pixels.reshape(2, 6, 5, 3).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    torch.testing.assert_close(seen[0], (images - mean) / std, atol=2e-6, rtol=1e-5)


def test_a_frame_says_the_same_whatever_is_around_it():
    torch.manual_seed(0)
    encoder = ImageEncoderConfig(SMALL, grid=(1, 2)).build(Frames(40, 70), 8).double().train()
    x = torch.rand(2, 3, 40 * 70 * 3, dtype=torch.float64) * 2 - 1
    together, _ = encoder(x, torch.ones(2, 3, dtype=torch.bool))
    alone, _ = encoder(x[1:, 2:], torch.ones(1, 1, dtype=torch.bool))
    torch.testing.assert_close(together[1:, 2:], alone)
    assert encoder.out.in_features == 2 * encoder.network.features


@pytest.mark.parametrize("frozen", [True, False])
def test_what_learns_and_what_is_kept(tmp_path, capsys, published, frozen):
    plan = recipe(ImageEncoderConfig(SMALL, str(published), frozen))
    start = build_network(plan).encoder.stages[0]
    assert isinstance(start, ImageEncoder)
    assert f"starts from {published}, named as torchvision or timm names them" in capsys.readouterr().err
    folder = train(plan, tmp_path / "run")
    assert folder is not None
    before = {name: value.clone() for name, value in start.network.state_dict().items()}
    published.rename(published.with_suffix(".gone"))  # a checkpoint has its weights itself
    try:
        network, _ = load_checkpoint(folder)
    finally:
        published.with_suffix(".gone").rename(published)
    after = network.encoder.stages[0]
    assert isinstance(after, ImageEncoder)
    for name, value in after.network.state_dict().items():
        if "running" in name:
            assert torch.equal(value, before[name]), "statistics are kept as they were"
        elif frozen:
            assert torch.equal(value, before[name].half().float())
    moved = [float((value - before[name]).abs().max()) for name, value in after.network.state_dict().items()]
    assert frozen or 1e-3 < max(value for value, name in zip(moved, before, strict=True) if "running" not in name) < 0.5
    torch.testing.assert_close(after.scale, 0.5 / torch.tensor(SMALL.std))


def test_the_learning_rate_of_what_is_fine_tuned(published):
    phase = recipe(ImageEncoderConfig()).phases[0]
    for frozen, wanted in ((True, 2), (False, 3)):
        network = build_network(recipe(ImageEncoderConfig(SMALL, str(published), frozen, learning_rate=0.05)))
        optimizers = Optimizers(network, phase)
        assert len(optimizers.parts) == wanted
        own = {id(parameter) for parameter in network.encoder.stages[0].network.parameters()}
        groups = [{id(p) for p in part.param_groups[0]["params"]} for part in optimizers.parts]
        assert sum(map(len, groups)) == sum(p.requires_grad for p in network.parameters())
        assert not frozen or not own & set().union(*groups)
        assert frozen or (groups[2] == own and optimizers.peaks[2] == pytest.approx(0.05 * phase.learning_rate))


def test_a_run_with_weights_that_do_not_fit_does_not_begin(tmp_path, published):
    with pytest.raises(CheckpointError, match=r"layer1\.0\.bn3\.bias is missing"):
        build_network(recipe(ImageEncoderConfig(ResNetConfig(50, 4), str(published))))
    with pytest.raises(UsageError, match=r"weights=nowhere\.pth: there is no such file"):
        build_network(recipe(ImageEncoderConfig(SMALL, "nowhere.pth")))


def test_what_makes_no_sense():
    with pytest.raises(ValueError, match="does not encode the features of Frames"):
        ImageEncoderConfig(SMALL).build(Frames(8, 8, 1), 4)
    with pytest.raises(ValueError, match="at least one cell"):
        ImageEncoderConfig(SMALL, grid=(0, 1)).build(Frames(8, 8), 4)
    with pytest.raises(ValueError, match="three means and deviations above 0"):
        ImageEncoderConfig(replace(SMALL, std=(0.0, 1.0, 1.0))).build(Frames(8, 8), 4)
