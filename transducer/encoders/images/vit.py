"""Vision Transformer (Dosovitskiy et al. 2021, arXiv:2010.11929), as torchvision and timm have it: pre-norm, GELU."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transducer.encoders.images.network import IMAGENET_MEAN, IMAGENET_STD, ImageNetwork, ImageNetworkConfig, Names
from transducer.model.config import register

EPS = 1e-6  # of the norms


@register("vit")
@dataclass(frozen=True)
class ViTConfig(ImageNetworkConfig):
    """See `ViT`; the defaults are those of B/16. Timm's weights want a mean and std of 0.5."""

    patch: int = 16
    width: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072
    token: bool = True
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def build(self, height: int, width: int) -> ViT:
        return ViT(self.patch, self.width, self.layers, self.heads, self.hidden, self.token, height, width)


class ViT(ImageNetwork):
    """Pictures in patches -> the features of the class token, or of every patch.

    Args:
        patch: side of a patch in pixels; it divides the sides of the picture.
        channels: of a patch's vector. layers, heads, hidden: of the Transformer.
        token: give the class token's features, a map of one cell; else a cell for each patch.
    """

    classifier = ("head.", "heads.")

    def __init__(
        self, patch: int, channels: int, layers: int, heads: int, hidden: int, token: bool, height: int, width: int
    ):
        super().__init__()
        if min(patch, channels, layers, heads, hidden) < 1 or channels % heads:
            raise ValueError(f"{heads} heads cannot share {channels} channels, or a size is below 1")
        if height % patch or width % patch:
            raise ValueError(
                f"pictures of {width} x {height} cannot be cut into patches of {patch} x {patch}: both sides must be "
                f"multiples of {patch}"
            )
        cells = height // patch, width // patch
        self.token, self.features, self.map = token, channels, (1, 1) if token else cells
        self.patches = nn.Conv2d(3, channels, patch, patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, channels))
        self.positions = nn.Parameter(torch.empty(1, 1 + cells[0] * cells[1], channels))
        nn.init.normal_(self.positions, std=0.02)
        self.layers = nn.Sequential(*(Layer(channels, heads, hidden) for _ in range(layers)))
        self.norm = nn.LayerNorm(channels, EPS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1) + self.positions
        x = self.norm(self.layers(x))
        return (x[:, :1] if self.token else x[:, 1:]).transpose(1, 2).unflatten(2, self.map)

    def layouts(self) -> dict[str, Names]:
        return {"timm": self._timm(), "torchvision": self._torchvision()}

    def _timm(self) -> Names:
        yield from (("patches", "patch_embed.proj"), ("class_token", "cls_token"), ("positions", "pos_embed"))
        yield "norm", "norm"
        for number in range(len(self.layers)):
            parts = ("norm1", "norm1"), ("qkv", "attn.qkv"), ("out", "attn.proj"), ("norm2", "norm2")
            for ours, theirs in (*parts, ("up", "mlp.fc1"), ("down", "mlp.fc2")):
                yield f"layers.{number}.{ours}", f"blocks.{number}.{theirs}"

    def _torchvision(self) -> Names:
        yield from (("patches", "conv_proj"), ("class_token", "class_token"), ("positions", "encoder.pos_embedding"))
        yield "norm", "encoder.ln"
        for number in range(len(self.layers)):
            layer, theirs = f"layers.{number}", f"encoder.layers.encoder_layer_{number}"
            for kind in ("weight", "bias"):
                yield f"{layer}.qkv.{kind}", f"{theirs}.self_attention.in_proj_{kind}"
            parts = ("norm1", "ln_1"), ("out", "self_attention.out_proj"), ("norm2", "ln_2")
            for ours, name in (*parts, ("up", "mlp.0"), ("down", "mlp.3")):
                yield f"{layer}.{ours}", f"{theirs}.{name}"


class Layer(nn.Module):
    """Attention between all patches, then a feed-forward layer, each after a norm and with a residual."""

    def __init__(self, channels: int, heads: int, hidden: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(channels, EPS), nn.LayerNorm(channels, EPS)
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.up, self.down = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.out(self._attend(self.norm1(x)))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))

    def _attend(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
