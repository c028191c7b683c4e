"""Mamba against a plain recurrence in float64, and mambapy; its scan and its gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from transducer.cores import selective_scan
from transducer.cores.mamba import LARGEST_STEP, SMALLEST_STEP, Mamba, MambaConfig
from transducer.cores.selective_scan import SelectiveSSM
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.training.objectives import HeadLoss
from transducer.training.optimizer import Optimizers
from transducer.training.recipe import Phase

CHUNK = 32  # steps


def ssm_and_inputs(steps: int, channels: int = 3, states: int = 2, rows: int = 2) -> tuple[SelectiveSSM, list]:
    torch.manual_seed(steps)
    ssm = SelectiveSSM(channels, states).double()
    for weight in ssm.parameters():
        weight.data += 0.3 * torch.randn_like(weight)
    sizes = [channels, channels, states, states]
    dt, *others = (torch.randn(rows, steps, size, dtype=torch.float64, requires_grad=True) for size in sizes)
    return ssm, [dt.detach().exp().requires_grad_(), *others]


def naive(ssm: SelectiveSSM, dt, u, b, c) -> torch.Tensor:
    """Number by number, as in the paper's equations (2) and the discretisation of its section 3."""
    y = torch.zeros_like(u)
    rates = -ssm.log_rates.exp()
    for row in range(u.shape[0]):
        for channel in range(u.shape[2]):
            for state in range(b.shape[2]):
                h = torch.zeros((), dtype=u.dtype)
                for t in range(u.shape[1]):
                    size = dt[row, t, channel]
                    h = (size * rates[channel, state]).exp() * h + size * u[row, t, channel] * b[row, t, state]
                    y[row, t, channel] += c[row, t, state] * h
    return (y + ssm.skip * u).detach()


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch) -> None:
    """Of CHUNK steps whatever the width, so that a short sequence has several."""
    monkeypatch.setattr(selective_scan, "SHORTEST", CHUNK)
    monkeypatch.setattr(selective_scan, "NUMBERS", 1)


@pytest.fixture(params=["step by step", "at once"])
def way(request, monkeypatch) -> None:
    """On a CPU, and elsewhere."""
    if request.param == "at once":
        scan = selective_scan._scan_at_once
        monkeypatch.setattr(selective_scan, "_scan", lambda a, x, state: scan(a, x, state) if a else state)


@pytest.mark.parametrize("steps", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 7])
def test_the_scan_is_the_recurrence(steps, way):
    ssm, inputs = ssm_and_inputs(steps)
    expected = naive(ssm, *(x.detach() for x in inputs))
    torch.testing.assert_close(ssm(*inputs), expected, rtol=1e-10, atol=1e-10)
    state, pieces = torch.zeros(2, 3, 2).double(), []
    for cut in zip(*(x.split(5, dim=1) for x in inputs), strict=True):
        y, state = ssm.step(*cut, state)
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces, 1), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("steps", [3, CHUNK + 1, CHUNK + 5])
def test_gradients(steps, way):
    """By finite differences where that is quick, and against those of the recurrence."""
    ssm, inputs = ssm_and_inputs(steps, 2, 2, 1)
    if steps < CHUNK:
        weights = dict(ssm.named_parameters())

        def run(*given):
            return torch.func.functional_call(ssm, dict(zip(weights, given[4:], strict=True)), given[:4])

        assert torch.autograd.gradcheck(run, (*inputs, *weights.values()))
    wanted = [*inputs, *ssm.parameters()]
    ours = ssm(*inputs)
    stepped, _ = ssm.step(*inputs, torch.zeros(1, 2, 2).double())
    toward = torch.randn_like(ours)
    for a, b in zip(
        torch.autograd.grad(ours, wanted, toward), torch.autograd.grad(stepped, wanted, toward), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_steps_of_any_size_neither_overflow_nor_lose_the_newest():
    """A state that has decayed to nothing within a chunk, and one that never decays."""
    ssm, (dt, u, b, c) = ssm_and_inputs(3 * CHUNK)
    for scale in (1e3, 1e-9):
        y = ssm(dt * scale, u, b, c)
        assert y.isfinite().all()
        torch.testing.assert_close(y, naive(ssm, *(x.detach() for x in (dt * scale, u, b, c))), rtol=1e-9, atol=1e-9)


def test_nothing_to_scan():
    for rows, steps in ((1, 0), (0, 5)):
        ssm, inputs = ssm_and_inputs(steps, rows=rows)
        y = ssm(*inputs)
        y.sum().backward()
        assert y.shape == (rows, steps, 3) and not ssm.log_rates.grad.any()


def test_what_is_remembered_for_the_gradient():
    """Inputs, and a state for each chunk: not a state for each step."""
    ssm, inputs = ssm_and_inputs(10 * CHUNK, 32, 16, 1)
    remembered = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: remembered.append(x.numel()) or x, lambda x: x):
        ssm(*inputs)
    assert sum(remembered) < 2 * sum(x.numel() for x in inputs) + 11 * 32 * 16 < 10 * CHUNK * 32 * 16 / 2


def test_a_layer_is_mambapys():
    mamba = pytest.importorskip("mambapy.mamba", reason="mambapy is not installed")
    torch.manual_seed(0)
    reference = mamba.MambaBlock(mamba.MambaConfig(d_model=8, n_layers=1, d_state=4, expand_factor=2, d_conv=4))
    layer = Mamba(8, 4, 2, 4)
    theirs = reference.state_dict()
    layer.load_state_dict(
        {
            "inputs.weight": theirs["in_proj.weight"],
            "convolution.weight": theirs["conv1d.weight"][:, 0].T,
            "convolution.bias": theirs["conv1d.bias"],
            "selection.weight": theirs["x_proj.weight"],
            "step_size.weight": theirs["dt_proj.weight"],
            "step_size.bias": theirs["dt_proj.bias"],
            "ssm.log_rates": theirs["A_log"],
            "ssm.skip": theirs["D"],
            "out.weight": theirs["out_proj.weight"],
        }
    )
    x = torch.randn(2, 100, 8)
    ours, _ = layer(x, torch.ones(2, 100, dtype=torch.bool))
    torch.testing.assert_close(ours, reference(x), rtol=1e-4, atol=1e-5)


def test_step_sizes_of_a_new_layer():
    torch.manual_seed(0)
    sizes = nn.functional.softplus(Mamba(64).step_size.bias.detach())
    assert sizes.min() >= 0.99 * SMALLEST_STEP and sizes.max() <= 1.01 * LARGEST_STEP
    assert math.isclose(sizes.log().mean(), math.log(SMALLEST_STEP * LARGEST_STEP) / 2, abs_tol=0.4)


def test_it_computes_the_scan_in_float32_under_autocast():
    torch.manual_seed(0)
    layer = Mamba(8, 4)
    x, mask = torch.randn(1, 70, 8), torch.ones(1, 70, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = layer(x, mask)
    y.float().sum().backward()
    assert all(weight.grad.isfinite().all() and weight.grad.abs().sum() > 0 for weight in layer.parameters())
    torch.testing.assert_close(y.float(), layer(x, mask)[0], rtol=0.1, atol=0.02)


def test_rates_are_no_matrix_to_the_optimizer():
    network = Network(ModelConfig(core=MambaConfig(8, 1, 3), heads={}))
    muon, adam = Optimizers(network, Phase("train", 1, (HeadLoss("ctc"),))).parts
    mamba = network.encoder.stages[1].body.stages[1]
    matrices, others = ({id(weight) for weight in part.param_groups[0]["params"]} for part in (muon, adam))
    assert id(mamba.ssm.log_rates) in others and id(mamba.inputs.weight) in matrices


def test_errors():
    with pytest.raises(ValueError, match="expands by at least 1"):
        Mamba(8, 0)
