"""What every head does: it knows its targets, sums its loss over a batch, and counts how often it is right."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from transducer.errors import UsageError
from transducer.heads.attention import AttentionConfig
from transducer.heads.cascaded_rnnt import CascadedRNNTConfig
from transducer.heads.ctc import CTCConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.heads.head import IGNORE, Head, Target
from transducer.heads.pooled import PooledConfig
from transducer.heads.rnnt import RNNTConfig
from transducer.model.config import ModelConfig

SIZE = 5
CONFIGS = {
    "ctc": CTCConfig("units"),
    "rnnt": RNNTConfig("units", "stateless", 6),
    "cascaded": CascadedRNNTConfig("units", "ctc", 2, 8, 2, 12, 1, 5, 2, 4, 6, delay=2),
    "attention": AttentionConfig("units", channels=8, layers=1, heads=2, ctc=0.3),
    "attention gru": AttentionConfig("units", "gru", "additive", 8, 1),
    "framewise": FramewiseConfig("units"),
    "pooled": PooledConfig("units", 3),
}
GOOD = {
    Target.TOKENS: ([1, 4], [2], np.array([3, 1])),
    Target.LABELS: (np.array([0, 4, IGNORE]), np.zeros(0, np.int32), np.full(9, 3, np.uint8)),
    Target.LABEL: (0, 4, np.int64(2)),
}
OTHERS = (None, "abc", 2.0, True, [1.5], ["a"], [True], np.zeros(3), np.zeros((2, 2), np.int64))


def build(name: str) -> Head:
    torch.manual_seed(0)
    model = ModelConfig(heads={name: CONFIGS[name], "ctc": CONFIGS["ctc"]}, units={"units": SIZE})
    return CONFIGS[name].build(4, model).eval()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_head_knows_what_it_was_built_from(name):
    head = build(name)
    assert head.config is CONFIGS[name] and head.size == SIZE
    assert head.delay == getattr(CONFIGS[name], "delay", 0)


@pytest.mark.parametrize("name", CONFIGS)
def test_targets_of_another_kind_are_refused(name):
    head = build(name)
    for target, values in GOOD.items():
        for value in values:
            if target is head.target:
                head.check_target(value, "pair 'a'")
            elif head.target is Target.LABEL or not isinstance(value, np.ndarray):  # tokens may be an array, too
                with pytest.raises(UsageError, match=r"pair 'a': a \w+ head learns from "):
                    head.check_target(value, "pair 'a'")
    for value in OTHERS:
        with pytest.raises(UsageError, match=f"pair 'b': .* learns from {head.target.value[:8]}"):
            head.check_target(value, "pair 'b'")


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("number", [-2, SIZE, 10**12])
def test_targets_out_of_range_are_refused(name, number):
    head = build(name)
    target = {Target.TOKENS: [1, number], Target.LABELS: np.array([0, number]), Target.LABEL: number}[head.target]
    with pytest.raises(UsageError, match=rf"pair 'a': there is no \w+ {number}; they go from (-1|1) to 4"):
        head.check_target(target, "pair 'a'")


def test_the_blank_is_no_token():
    with pytest.raises(UsageError, match="no token 0"):
        build("ctc").check_target([1, 0], "pair")


LENGTHS = (9, 4, 6)
TARGETS = {
    Target.TOKENS: ([1, 2, 2], [], [4]),
    Target.LABELS: (np.array([0, 1, 2, 3, 4, IGNORE, 0, 0, 1]), np.full(4, IGNORE), np.array([1, 1, 1, 0, 0, 0])),
    Target.LABEL: (3, IGNORE, 1),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_loss_of_a_batch_is_the_sum_of_its_rows(name):
    """Padding, and rows that nothing is known of, change nothing and get no gradient."""
    head = build(name)
    x = torch.randn(3, 9, 4, requires_grad=True)
    mask = torch.arange(9) < torch.tensor(LENGTHS)[:, None]
    outputs, exists = head(torch.where(mask[..., None], x, 1e3), mask)
    targets = TARGETS[head.target]
    if head.target is Target.LABELS:
        targets = tuple(labels[: int(n)] for labels, n in zip(targets, exists.sum(1), strict=True))
    loss = head.loss(outputs, exists, targets)
    assert loss.count == {Target.TOKENS: 4, Target.LABELS: 14, Target.LABEL: 2}[head.target]
    alone = [
        head.loss(outputs[row : row + 1, : int(n)], exists[row : row + 1, : int(n)], [targets[row]])
        for row, n in enumerate(exists.sum(1))
    ]
    assert [part.count for part in alone][1] == 0 and alone[1].total == 0 and alone[1].mean == 0
    torch.testing.assert_close(loss.total, sum(part.total for part in alone))
    (gradient,) = torch.autograd.grad(loss.total, x)
    assert gradient[0].any() and gradient[2].any() and not gradient[1].any() and not gradient[2, 6:].any()


def test_weights_are_for_labels():
    weights = torch.tensor([1.0, 2.0, 0.0, 1.0, 1.0])
    outputs = torch.randn(1, 3, SIZE).log_softmax(-1)
    mask = torch.ones(1, 3, dtype=torch.bool)
    loss = build("framewise").loss(outputs, mask, [np.array([1, 2, 0])], weights)
    assert loss.mean.item() == pytest.approx(-(2 * outputs[0, 0, 1] + outputs[0, 2, 0]).item() / 3)
    for name in ("ctc", "rnnt"):
        with pytest.raises(UsageError, match="weights of labels are for heads of labels"):
            build(name).loss(outputs, mask, [[1]], weights)


def test_metrics_count():
    outputs = torch.eye(SIZE)[[0, 1, 1, 2, 0]].mul(9).log_softmax(-1)
    framewise, pooled, ctc = (build(name).metric() for name in ("framewise", "pooled", "ctc"))
    framewise.add(outputs, np.array([0, 1, 2, IGNORE, 3]))
    assert (framewise.name, framewise.total, framewise.rate) == ("accuracy", 4, 0.5)
    assert framewise.matrix[2, 1] == framewise.matrix[3, 0] == framewise.matrix[0, 0] == 1
    pooled.add(outputs, 0)
    pooled.add(outputs, 4)
    pooled.add(outputs, IGNORE)
    assert (pooled.total, pooled.rate) == (2, 0.5)
    ctc.add(outputs, [1, 2])
    ctc.add(outputs, [3, 1, 4, 4])  # said: 1 2
    assert (ctc.name, ctc.total, ctc.rate) == ("error", 6, 3 / 6)


@pytest.mark.parametrize("name", ["rnnt", "cascaded"])
def test_transducers_are_measured_by_greedy_search(name):
    head = build(name)
    with torch.no_grad():
        head.out.weight.zero_()
        head.out.bias.copy_(torch.tensor([0.0, 0.0, 5.0, 0.0, 0.0]))
    metric = head.metric()
    metric.add(torch.zeros(2, head.out.in_features), [2] * 2 * head.max_symbols)
    assert metric.rate == 0
