"""Weights as bytes on disk: a quarter of float32, widened again when they are loaded; the largest in six bits."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

# Added to the name of a quantised weight; no parameter's name has a colon.
SCALE = ":scale"
COLUMNS = ":columns"
TABLE = 1 << 23  # numbers; only a table of tokens is so large, and its bytes are most of a small model's


def quantise(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every matrix or kernel as int8 with a float32 scale for each row; vectors stay as they are, in float16.

    Symmetric, round to nearest: |w - q * scale| <= scale / 2 with scale = max |row| / 127. A matrix of `TABLE` numbers
    or more has six bits, -31 to 31, four in three bytes, after its columns have been brought to mean 0 and deviation 1:
    a few columns of embeddings are large, nearly the same for all tokens, and would leave the others but a few steps.
    """
    result: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if weight.ndim < 2:
            result[name] = weight.half()
            continue
        rows, levels = weight.float().flatten(1), 127
        if table := weight.ndim == 2 and weight.numel() >= TABLE:
            mean, deviation = rows.mean(0), _positive(rows.std(0, correction=0))
            rows, levels = (rows - mean) / deviation, 31
            result[name + COLUMNS] = torch.stack([mean, deviation])
        scale = _positive(rows.abs().amax(dim=1) / levels)
        whole = (rows / scale[:, None]).round().to(torch.int8)
        result[name] = _packed(whole) if table else whole.view(weight.shape)
        result[name + SCALE] = scale
    return result


def dequantise(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All weights in float32, those with scales multiplied by them; the inverse of `quantise` up to rounding.

    Raises:
        ValueError: complex numbers, or scales that are not one for each row, or two numbers for each column.
    """
    result = {}
    for name, weight in weights.items():
        if name.endswith((SCALE, COLUMNS)):
            continue
        scale, columns = weights.get(name + SCALE), weights.get(name + COLUMNS)
        if any(part is not None and part.is_complex() for part in (weight, scale, columns)):
            raise ValueError(f"{name} has complex numbers")
        if columns is not None:
            if columns.ndim != 2 or len(columns) != 2 or weight.shape[1:] != (3 * -(-columns.shape[1] // 4),):
                raise ValueError(f"{name} has no mean and deviation for each column")
            weight = _unpacked(weight)[:, : columns.shape[1]]
        result[name] = weight.float()
        if scale is not None:
            if weight.ndim < 2 or scale.shape != weight.shape[:1]:
                raise ValueError(f"the scales of {name} are not one number for each row")
            result[name] = result[name] * scale.float().view(-1, *[1] * (weight.ndim - 1))
        if columns is not None:
            mean, deviation = columns.float()
            result[name] = result[name] * deviation + mean
    return result


def _positive(scale: Tensor) -> Tensor:
    return scale.clamp(min=torch.finfo(torch.float32).tiny)


def _packed(whole: Tensor) -> Tensor:
    """(R, C) of -32 to 31 -> (R, 3 * ceil(C / 4)) bytes."""
    full = torch.nn.functional.pad(whole, (0, -whole.shape[1] % 4)) + 32
    a, b, c, d = full.to(torch.uint8).unflatten(1, (-1, 4)).unbind(2)
    return torch.stack([a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d], 2).flatten(1)


def _unpacked(packed: Tensor) -> Tensor:
    """(R, 3 * K) bytes -> (R, 4 * K) of -32 to 31, float32."""
    a, b, c = packed.unflatten(1, (-1, 3)).unbind(2)
    whole = torch.stack([a >> 2, (a << 4 | b >> 4) & 63, (b << 2 | c >> 6) & 63, c & 63], 2)
    return whole.flatten(1).float() - 32
