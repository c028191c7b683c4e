"""Muon in float32 is torch's, which orthogonalises in bfloat16, but for its rounding."""

from __future__ import annotations

import pytest
import torch

from transducer.training.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(24, 8), (8, 24), (16, 16)])
def test_updates_are_those_of_torch(shape):
    torch.manual_seed(0)
    start, gradients = torch.randn(shape), [torch.randn(shape) for _ in range(4)]
    made = {}
    for kind in (torch.optim.Muon, Muon):
        matrix = torch.nn.Parameter(start.clone())
        optimizer = kind([matrix], lr=0.02, weight_decay=0.1)
        for number, gradient in enumerate(gradients):
            matrix.grad = gradient.clone()
            optimizer.step()
            if number == 1:  # a state of torch's own can be gone on with
                kept = optimizer.state_dict()
                optimizer = kind([matrix], lr=0.5)
                optimizer.load_state_dict(kept)
        made[kind] = matrix.detach() - start
    assert made[Muon].norm() > 0.1
    torch.testing.assert_close(made[Muon], made[torch.optim.Muon], atol=0.02 * 0.02 * 4, rtol=0.05)


def test_singular_values_become_about_one():
    torch.manual_seed(1)
    for shape in ((30, 10), (10, 30)):
        values = torch.linalg.svdvals(orthogonalised(torch.randn(shape)))
        assert values.min() > 0.6 and values.max() < 1.3


def test_a_matrix_without_a_gradient_stays():
    matrix = torch.nn.Parameter(torch.ones(3, 3))
    Muon([matrix], lr=0.1).step()
    assert torch.equal(matrix, torch.ones(3, 3))
