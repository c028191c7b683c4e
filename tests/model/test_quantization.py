"""Weights as bytes."""

from __future__ import annotations

import pytest
import torch

from transducer.model import quantization
from transducer.model.quantization import COLUMNS, SCALE, dequantise, quantise


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


@pytest.mark.parametrize("columns", [1, 5, 8, 11])
def test_a_table_of_tokens_has_six_bits_and_columns_of_any_size(monkeypatch, columns):
    monkeypatch.setattr(quantization, "TABLE", 9 * columns)
    torch.manual_seed(0)
    table = torch.randn(9, columns) * torch.logspace(-2, 2, columns) + torch.arange(columns)
    table[:, -1] = 7.0
    stored = quantise({"table": table})
    assert stored["table"].dtype == torch.uint8
    assert stored["table"].shape == (9, 3 * -(-columns // 4))
    step = stored["table" + SCALE][:, None] * stored["table" + COLUMNS][1]
    assert ((dequantise(stored)["table"] - table).abs() <= step * 0.501 + 1e-5).all()


def test_all_values_of_six_bits_survive():
    whole = torch.arange(-32, 32, dtype=torch.int8).view(2, 32)
    assert torch.equal(quantization._unpacked(quantization._packed(whole)), whole.float())


def test_columns_that_do_not_fit_are_an_error():
    table = torch.zeros(2, 3, dtype=torch.uint8)
    for columns in (torch.ones(2, 9), torch.ones(1, 4), torch.ones(4)):
        with pytest.raises(ValueError, match="no mean and deviation for each column"):
            dequantise({"table": table, "table" + SCALE: torch.ones(2), "table" + COLUMNS: columns})
