"""Heads that label: every frame, or the whole sequence."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from transducer.heads.framewise import Framewise, cross_entropy
from transducer.heads.head import IGNORE
from transducer.heads.pooled import Pooled


def log_probs(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.manual_seed(0), dtype=torch.float64).log_softmax(-1).requires_grad_()


@pytest.mark.parametrize("hidden", [0, 5])
def test_framewise_gives_probabilities(hidden):
    head = Framewise(4, 3, hidden)
    y, mask = head(torch.randn(2, 7, 4), torch.ones(2, 7, dtype=torch.bool))
    assert y.shape == (2, 7, 3)
    assert mask.all()
    torch.testing.assert_close(y.exp().sum(-1), torch.ones(2, 7))


@pytest.mark.parametrize("weights", [None, [0.1, 2.0, 5.0]])
def test_framewise_loss_is_cross_entropy(weights):
    found = log_probs(2, 6, 3)
    labels = torch.tensor([[0, 1, 2, 0, IGNORE, 1], [2, IGNORE, IGNORE, 0, 0, 1]])
    weight = None if weights is None else torch.tensor(weights)
    wanted = nn.functional.nll_loss(found.float().flatten(0, 1), labels.flatten(), weight=weight, ignore_index=IGNORE)
    torch.testing.assert_close(cross_entropy(found, labels, weight), wanted)


def test_frames_without_a_label_have_no_say():
    found = log_probs(1, 4, 3).detach()
    found[0, 2:] = float("nan")
    found.requires_grad_()
    loss = cross_entropy(found, torch.tensor([[1, 0, IGNORE, IGNORE]]))
    assert loss.isfinite()
    loss.backward()
    assert found.grad.isfinite().all()
    assert not found.grad[0, 2:].any()
    nothing = cross_entropy(found, torch.full((1, 4), IGNORE))
    assert nothing == 0
    nothing.backward()


@pytest.mark.parametrize("hidden", [0, 5])
def test_pooled_is_the_head_on_the_mean(hidden):
    torch.manual_seed(0)
    head = Pooled(4, 3, hidden).double()
    x, mask = torch.randn(2, 7, 4, dtype=torch.float64), torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    y, _ = head(x, mask)
    torch.testing.assert_close(y[0, 6], head.head(x[0].mean(0)))
    torch.testing.assert_close(y[0, 2], head.head(x[0, :3].mean(0)))
    torch.testing.assert_close(y[1, 3], head.head(x[1, :4].mean(0)))
    torch.testing.assert_close(y[1, 6], y[1, 3])  # padding changes nothing


def test_pooled_counts_in_full_precision():
    """Under autocast, frames come in bfloat16, where 256 + 1 = 256."""
    head = Pooled(1, 2)
    x = torch.ones(1, 1000, 1, dtype=torch.bfloat16)
    mask = torch.ones(1, 1000, dtype=torch.bool)
    _, _, state = head.step(x, mask, head.init_state(1, torch.zeros(())))
    assert state.total.item() == state.count.item() == 1000


def test_pooled_loss_reads_the_last_output():
    found = log_probs(3, 5, 4)
    mask = torch.arange(5) < torch.tensor([[5], [2], [3]])
    labels = [3, 0, IGNORE]
    expected = -(found[0, 4, 3] + found[1, 1, 0]) / 2
    torch.testing.assert_close(Pooled(4, 4).loss(found, mask, labels).mean, expected.float())
    weighted = -(found[0, 4, 3] * 3 + found[1, 1, 0]) / 4
    weights = torch.tensor([1.0, 1.0, 1.0, 3.0])
    torch.testing.assert_close(Pooled(4, 4).loss(found, mask, labels, weights).mean, weighted.float())
    empty = torch.zeros(3, 5, dtype=torch.bool)
    assert Pooled(4, 4).loss(found, empty, labels).mean == 0
