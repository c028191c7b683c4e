"""Weights as bytes."""

from __future__ import annotations

import torch

from transducer.model.quantization import SCALE, dequantise, quantise


def test_rounding_is_within_half_a_step():
    torch.manual_seed(0)
    weights = {"matrix": torch.randn(7, 30) * torch.logspace(-6, 2, 7)[:, None], "kernel": torch.randn(4, 3, 2, 2)}
    stored = quantise(weights)
    assert stored["matrix"].dtype == stored["kernel"].dtype == torch.int8
    back = dequantise(stored)
    for name, weight in weights.items():
        step = stored[name + SCALE].view(-1, *[1] * (weight.ndim - 1))
        assert ((weight - back[name]).abs() <= step * 0.501).all()
        assert back[name].shape == weight.shape


def test_vectors_and_rows_of_zeros_survive():
    weights = {"bias": torch.tensor([0.5, -2.0]), "zero": torch.zeros(3, 4)}
    back = dequantise(quantise(weights))
    assert torch.equal(back["bias"], weights["bias"])
    assert torch.equal(back["zero"], weights["zero"])


def test_weights_without_scales_pass_through():
    weights = {"a": torch.randn(3, 3).half(), "b": torch.randn(2)}
    back = dequantise(weights)
    assert back["a"].dtype == torch.float32
    assert torch.equal(back["a"], weights["a"].float())
