"""Weights as bytes on disk: a quarter of float32, widened again when they are loaded."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE = ":scale"  # added to the name of a quantised weight; no parameter's name has a colon


def quantise(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every matrix or kernel as int8 with a float32 scale for each row; vectors stay as they are, in float16.

    Symmetric, round to nearest: |w - q * scale| <= scale / 2 with scale = max |row| / 127.
    """
    result: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if weight.ndim < 2:
            result[name] = weight.half()
            continue
        rows = weight.float().flatten(1)
        scale = (rows.abs().amax(dim=1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
        result[name] = (rows / scale[:, None]).round().to(torch.int8).view(weight.shape)
        result[name + SCALE] = scale
    return result


def dequantise(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All weights in float32, those with a scale multiplied by it; the inverse of `quantise` up to rounding.

    Raises:
        ValueError: complex numbers, or scales that are not one for each row.
    """
    result = {}
    for name, weight in weights.items():
        if name.endswith(SCALE):
            continue
        if weight.is_complex():
            raise ValueError(f"{name} has complex numbers")
        result[name] = weight.float()
        if name + SCALE in weights:
            scale = weights[name + SCALE]
            if weight.ndim < 2 or scale.shape != weight.shape[:1] or scale.is_complex():
                raise ValueError(f"the scales of {name} are not one number for each row")
            result[name] = result[name] * scale.float().view(-1, *[1] * (weight.ndim - 1))
    return result
