"""Packed linear layers compute what the plain ones do, and are used only where nothing is lost."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from runs import assert_like, finals, run
from tiny_models import LETTERS, PLAIN, build_network, speech, tiny_model
from torch import nn

from transducer.engine.engine import Engine
from transducer.engine.torch_backend import TorchBackend
from transducer.model import packing
from transducer.model.checkpoint import load_checkpoint, save_checkpoint
from transducer.model.packing import PackedGates, PackedLinear, is_packed, pack_linears
from transducer.model.sequence import Serial

needs_fbgemm = pytest.mark.skipif(not packing._available(), reason="torch has no FBGEMM on this machine")


def half_linear(inputs: int, outputs: int, **options) -> nn.Linear:
    torch.manual_seed(0)
    linear = nn.Linear(inputs, outputs, **options).requires_grad_(False)
    linear.weight.copy_(linear.weight.half())
    return linear


@needs_fbgemm
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (7, 29), (192, 576), (512, 192)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1,), (3, 8), (2, 0), (4, 5, 6)])
def test_packed_equals_plain(inputs, outputs, shape, bias):
    linear = half_linear(inputs, outputs, bias=bias)
    x = torch.randn(*shape, inputs)
    y = PackedLinear(linear)(x)
    assert y.shape == (*shape, outputs)
    torch.testing.assert_close(y, linear(x), rtol=1e-5, atol=1e-5)
    strided = x.transpose(0, -2)
    torch.testing.assert_close(PackedLinear(linear)(strided), linear(strided), rtol=1e-5, atol=1e-5)


@needs_fbgemm
def test_only_what_loses_nothing_is_packed(recwarn):
    fine, tiny = half_linear(4, 4), half_linear(4, 4)
    fine.weight += 1e-6
    layers = nn.ModuleDict(
        {
            "packed": half_linear(4, 4),
            "deeper": nn.Sequential(nn.ReLU(), half_linear(4, 4)),
            "float32": fine,
            "no bias": half_linear(4, 4, bias=False),
            "precise": tiny.double(),
            "attention": nn.MultiheadAttention(4, 1),
        }
    )
    pack_linears(layers)
    packed = [name for name, layer in layers.named_modules() if isinstance(layer, PackedLinear)]
    assert packed == ["packed", "deeper.1", "no bias"]
    assert copy.deepcopy(layers["packed"]) is layers["packed"]
    assert not recwarn


def test_without_the_kernel_nothing_is_packed(monkeypatch):
    monkeypatch.delattr(torch, "fbgemm_pack_gemm_matrix_fp16", raising=False)
    layers = nn.Sequential(half_linear(4, 4))
    pack_linears(layers)
    assert type(layers[0]) is nn.Linear


@needs_fbgemm
def test_the_gates_of_an_lstm_are_packed_where_that_loses_nothing():
    torch.manual_seed(0)
    layers = nn.ModuleDict(
        {
            "lstm": nn.LSTM(8, 12),
            "deep": nn.LSTM(8, 12, 2),
            "both ways": nn.LSTM(8, 12, bidirectional=True),
            "bare": nn.LSTM(8, 12, bias=False),
            "projected": nn.LSTM(8, 12, proj_size=4),
            "float32": nn.LSTM(8, 12),
        }
    ).requires_grad_(False)
    for name, layer in layers.items():
        for weight in layer.parameters():
            weight.copy_(weight.half() if name != "float32" else weight + 1e-7)
    plain = copy.deepcopy(layers["lstm"])
    pack_linears(layers)
    assert type(layers["lstm"]) is nn.LSTM  # whoever has it may need all of it
    layers.steps_by_gates = True
    pack_linears(layers)
    assert [name for name, layer in layers.items() if isinstance(layer, PackedGates)] == ["lstm"]
    assert is_packed(layers["lstm"]) and not is_packed(layers)
    x, hidden, cell = torch.randn(5, 8), torch.randn(5, 12), torch.randn(5, 12)
    into, forget, new, out = layers["lstm"](x, hidden).chunk(4, dim=-1)
    cell_after = forget.sigmoid() * cell + into.sigmoid() * new.tanh()
    _, (expected, expected_cell) = plain(x[None], (hidden[None], cell[None]))
    torch.testing.assert_close(cell_after, expected_cell[0])
    torch.testing.assert_close(out.sigmoid() * cell_after.tanh(), expected[0])


@needs_fbgemm
@pytest.mark.parametrize(("inputs", "outputs"), [(7, 29), (192, 576), (384, 2000)])
def test_a_packed_row_has_the_same_bits_among_any_others(inputs, outputs):
    """What `is_packed` promises to the searches, which step rows of many streams at once."""
    packed, x = PackedLinear(half_linear(inputs, outputs)), torch.randn(40, inputs)
    whole = packed(x)
    for count in (1, 2, 3, 5, 8, 13, 16, 31):
        assert torch.equal(packed(x[:count].contiguous()), whole[:count])
        assert torch.equal(packed(x[-count:].contiguous()), whole[-count:])


@needs_fbgemm
@pytest.mark.parametrize("storage", [torch.float16, torch.int8])
def test_every_linear_layer_of_a_checkpoint_is_packed(storage, tmp_path):
    save_checkpoint(tmp_path / "model", build_network(PLAIN), PLAIN, {"letters": LETTERS}, storage)
    network, _ = load_checkpoint(tmp_path / "model")
    count = sum(type(module) is nn.Linear for module in network.modules())
    pack_linears(network)
    assert count == sum(isinstance(module, PackedLinear) for module in network.modules()) > 10


def test_a_model_hears_the_same_with_packed_weights():
    model = tiny_model("ctc")
    engine = model.engine()
    network = model.network
    stages = Serial(network.frontend, network.encoder, network.heads["ctc"])
    plain = Engine(TorchBackend(stages), engine.search, model.medium, engine.block)
    if packing._available():
        assert any(isinstance(module, PackedLinear) for module in engine.network.network.modules())
    assert not any(isinstance(module, PackedLinear) for module in plain.network.network.modules())
    samples = np.concatenate([speech(seed) for seed in range(3)])
    assert_like(finals(run(plain, [samples])), finals(run(engine, [samples])))
