"""Heads of numbers: their loss against torch, their units, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import huber_loss

from transducer.errors import UsageError
from transducer.heads.numbers import NumbersConfig
from transducer.model.config import ModelConfig


def build(whole: bool, delta: float = 1.0):
    torch.manual_seed(0)
    head = NumbersConfig("numbers", whole=whole, delta=delta).build(4, ModelConfig(units={"numbers": 3})).eval()
    head.scale.mean.copy_(torch.tensor([100.0, -3.0]))
    head.scale.std.copy_(torch.tensor([20.0, 0.5]))
    return head


X, MASK = (
    torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(1)),
    torch.arange(6) < torch.tensor([[6], [2], [4]]),
)


@pytest.mark.parametrize("delta", [0.3, 1e6])
def test_the_loss_of_steps_is_that_of_torch_in_standard_deviations(delta):
    head = build(False, delta)
    rng = np.random.default_rng(0)
    targets = [rng.normal([100, -3], [20, 0.5], (n, 2)).astype(np.float32) for n in (6, 2, 4)]
    targets[0][3, 1] = targets[2][:, 0] = np.nan
    outputs, mask = head(torch.where(MASK[..., None], X, 1e30), MASK)
    loss = head.loss(outputs, mask, targets)
    assert loss.count == 24 - 5
    said, wanted = outputs[MASK], torch.from_numpy(np.concatenate(targets))
    known = ~wanted.isnan()
    errors = ((said - wanted) / head.scale.std)[known]
    torch.testing.assert_close(loss.mean, huber_loss(errors, torch.zeros_like(errors), delta=delta))
    gradients = torch.autograd.grad(loss.total, list(head.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_the_loss_of_wholes_is_that_of_their_last_step():
    head = build(True)
    targets = [np.array([110, -3], np.float32), np.full(2, np.nan, np.float32), np.array([np.nan, -2], np.float32)]
    outputs, mask = head(X, MASK)
    loss = head.loss(outputs, mask, targets)
    wanted = [(outputs[0, 5, 0], 110.0, 20.0), (outputs[0, 5, 1], -3.0, 0.5), (outputs[2, 3, 1], -2.0, 0.5)]
    errors = torch.stack([(said - right) / std for said, right, std in wanted])
    assert loss.count == 3
    torch.testing.assert_close(loss.total, huber_loss(errors, torch.zeros(3), reduction="sum"))
    weights = head.head[0].weight @ X[0].mean(0) + head.head[0].bias
    torch.testing.assert_close(outputs[0, 5], weights * head.scale.std + head.scale.mean)


def test_a_batch_of_which_nothing_is_known_has_no_loss():
    loss = build(True).loss(*build(True)(X, MASK), [np.full(2, np.nan, np.float32)] * 3)
    assert loss.count == 0 and loss.mean == 0


def test_how_wrong_numbers_are():
    metric = build(False).metric()
    metric.add(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.5, np.nan], [3.0, 1.0]]))
    assert metric.total == 3 and metric.rate == pytest.approx(3.5 / 3)
    metric = build(True).metric()
    metric.add(torch.tensor([[9.0, 9.0], [3.0, 4.0]]), np.array([2.0, 4.0]))
    assert metric.rate == 0.5


@pytest.mark.parametrize("whole", [False, True])
def test_other_targets_are_refused(whole):
    head, good = build(whole), np.zeros(2) if whole else np.zeros((5, 2))
    head.check_target(good, "pair 'a'")
    for bad, message in (
        (good.astype(int), "learns from numbers of"),
        (3.5, "learns from numbers of"),
        (good[..., None], "learns from numbers of"),
        (good[..., :1], "there are 1 numbers, and the head has 2"),
        (good + np.inf, "a number is infinite"),
    ):
        with pytest.raises(UsageError, match=f"pair 'a': .*{message}"):
            head.check_target(bad, "pair 'a'")
    with pytest.raises(UsageError, match="weights of labels are for heads of labels"):
        head.loss(*head(X, MASK), [good] * 3, torch.ones(2))
    with pytest.raises(UsageError, match="delta must be above 0"):
        NumbersConfig(delta=0)
