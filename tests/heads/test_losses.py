"""Law 7: losses against torch, torchaudio and the enumeration of paths."""

from __future__ import annotations

from itertools import groupby, product

import pytest
import torch

from transducer.heads.ctc import ctc_nll
from transducer.heads.rnnt import RNNT


def log_probs(*shape: int, seed: int = 0) -> torch.Tensor:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return (2 * x).log_softmax(dim=-1).requires_grad_()


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(token for token, _ in groupby(path) if token)


# --- CTC


def enumerated_ctc(row: torch.Tensor) -> dict[tuple[int, ...], torch.Tensor]:
    """Target -> log-probability, from every path through (T, V)."""
    frames, tokens = row.shape
    paths: dict[tuple[int, ...], list[torch.Tensor]] = {}
    for path in product(range(tokens), repeat=frames):
        paths.setdefault(collapse(path), []).append(row[torch.arange(frames), list(path)].sum())
    return {target: torch.stack(parts).logsumexp(0) for target, parts in paths.items()}


def test_ctc_is_the_sum_over_all_paths():
    x = log_probs(1, 5, 3)
    for target, expected in enumerated_ctc(x[0]).items():
        if not target:
            continue
        loss = ctc_nll(x, torch.tensor([5]), [list(target)])[0]
        assert loss.item() == pytest.approx(-expected.item(), abs=1e-5)
        ours, theirs = (torch.autograd.grad(value, x, retain_graph=True)[0] for value in (loss, -expected))
        # torch's gradient is that through a softmax before the log-probabilities: compare it after one.
        projected = theirs - x.detach().exp() * theirs.sum(dim=-1, keepdim=True)
        torch.testing.assert_close(ours, projected, atol=1e-4, rtol=0)


def test_the_targets_of_ctc_share_all_probability():
    total = torch.stack(list(enumerated_ctc(log_probs(4, 3).detach()).values())).logsumexp(0)
    assert total.item() == pytest.approx(0, abs=1e-5)


def test_ctc_rows_of_different_lengths_are_as_alone():
    x, lengths, targets = log_probs(3, 9, 5), torch.tensor([9, 4, 6]), [[1, 2, 2, 4], [3], [4, 4]]
    together = ctc_nll(x, lengths, targets)
    for row, (length, target) in enumerate(zip(lengths.tolist(), targets, strict=True)):
        alone = torch.nn.functional.ctc_loss(
            x[row, :length, None].double(),
            torch.tensor([target]),
            torch.tensor([length]),
            torch.tensor([len(target)]),
            reduction="sum",
        )
        assert together[row].item() == pytest.approx(alone.item(), abs=1e-4)


def test_a_target_that_cannot_fit_counts_nothing():
    x = log_probs(1, 3, 4)
    loss = ctc_nll(x, torch.tensor([3]), [[1, 1, 2]])  # needs a blank between the equal ones: 4 frames
    loss.sum().backward()
    assert loss.item() == 0 and not x.grad.any()


# --- RNN-T


def enumerated_rnnt(head: RNNT, frames: torch.Tensor, target: list[int]) -> torch.Tensor:
    """-log P(target), from every way of placing its tokens among (T, hidden) frames."""
    steps, total = len(frames), []
    predicted = head.predictor(torch.tensor([target]))[0]
    for places in product(range(steps), repeat=len(target)):
        if list(places) != sorted(places):
            continue
        score, emitted = torch.zeros(()), 0
        for frame in range(steps):
            for _ in range(places.count(frame)):
                score = score + head.joint(frames[frame], predicted[emitted : emitted + 1])[0, target[emitted]]
                emitted += 1
            score = score + head.joint(frames[frame], predicted[emitted : emitted + 1])[0, 0]
        total.append(score)
    return -torch.stack(total).logsumexp(0)


@pytest.mark.parametrize("predictor", ["stateless", "lstm"])
@pytest.mark.parametrize("target", [[1], [2, 2], [1, 3, 2]])
def test_rnnt_is_the_sum_over_all_paths(predictor, target):
    torch.manual_seed(0)
    head = RNNT(channels=4, tokens=4, predictor=predictor, hidden=5)
    frames = torch.randn(1, 4, 5, requires_grad=True)
    loss, expected = head.nll(frames, torch.tensor([4]), [target])[0], enumerated_rnnt(head, frames[0], target)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-4)
    wanted = [frames, head.out.weight, head.predictor.embedding.weight]
    for ours, theirs in zip(torch.autograd.grad(loss, wanted), torch.autograd.grad(expected, wanted), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("predictor", ["stateless", "lstm"])
def test_rnnt_rows_of_different_lengths_are_as_alone(predictor):
    torch.manual_seed(0)
    head = RNNT(channels=4, tokens=6, predictor=predictor, hidden=5)
    frames, lengths, targets = torch.randn(3, 7, 5), torch.tensor([3, 6, 5]), [[5, 1], [2, 2, 3, 4], [1]]
    together = head.nll(frames, lengths, targets)
    for row, (length, target) in enumerate(zip(lengths.tolist(), targets, strict=True)):
        alone = head.nll(frames[row : row + 1, :length], lengths[row : row + 1], [target])
        assert together[row].item() == pytest.approx(alone.item(), abs=1e-4)
