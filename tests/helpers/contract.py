"""`verify_contract`: holds a stage to the streaming contract of `transducer.model.sequence`."""

from __future__ import annotations

import io
from collections.abc import Sequence

import torch
from torch import Tensor

from transducer.model.sequence import State, Streaming, batch_size, select, split, stack

NAN = float("nan")


def flat(state: State) -> list[Tensor]:
    """The tensors of a state, in order."""
    return [state] if isinstance(state, Tensor) else [tensor for part in state for tensor in flat(part)]


def padded(x: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    """NaN beyond each row's length, and the mask."""
    mask = torch.arange(x.shape[1])[None] < torch.tensor(lengths)[:, None]
    return torch.where(mask[..., None], x, torch.full_like(x, NAN)), mask


def run_steps(stage: Streaming, x: Tensor, mask: Tensor, blocks: Sequence[int], poison: float = NAN):
    """Feed x in pieces of so many blocks (round and round), then what does not exist until all has come out.

    Returns the outputs and their mask without the first `latency` steps, and every state on the way.
    """
    block, batch = stage.block, x.shape[0]
    needed = x.shape[1] + stage.latency * stage.stride
    missing = -(-needed // block) * block - x.shape[1]
    x = torch.cat([x, x.new_full((batch, missing, x.shape[2]), poison)], dim=1)
    mask = torch.cat([mask, mask.new_zeros(batch, missing)], dim=1)
    states = [stage.init_state(batch, x)]
    outputs, masks, start, turn = [], [], 0, 0
    while start < x.shape[1]:
        size = min(blocks[turn % len(blocks)] * block, x.shape[1] - start)
        y, y_mask, new = stage.step(x[:, start : start + size], mask[:, start : start + size], states[-1])
        assert y.shape[:2] == (batch, size // stage.stride) == y_mask.shape
        outputs.append(y)
        masks.append(y_mask)
        states.append(new)
        start, turn = start + size, turn + 1
    return torch.cat(outputs, 1)[:, stage.latency :], torch.cat(masks, 1)[:, stage.latency :], states


def gradients(stage: Streaming, y: Tensor, mask: Tensor, x: Tensor, weights: Tensor) -> list[Tensor]:
    loss = (torch.where(mask[..., None], y, torch.zeros_like(y)) * weights).sum()
    parameters = [p for p in stage.parameters() if p.requires_grad]
    found = torch.autograd.grad(loss, [x, *parameters], allow_unused=True)
    return [torch.zeros(()) if g is None else g for g in found]


def verify_contract(
    stage: Streaming, channels: int, lengths: Sequence[int], blocks: Sequence[int], seed: int, inner: bool = False
) -> None:
    """Everything that the contract says, for one stage, rows of these lengths, one way of cutting.

    Args:
        stage: in float64 and eval mode.
        channels: of its input.
        blocks: sizes of the pieces in blocks, used round and round.
        inner: the stage never comes first in a model. Its outputs are still checked with NaN in the padding, but
            the gradients of its weights with numbers there: 0 times NaN is NaN, and the first stage removes them.
    """
    torch.manual_seed(seed)
    steps = max(lengths)
    clean = torch.randn(len(lengths), steps, channels, dtype=torch.float64)
    x, mask = padded(clean, lengths)
    x.requires_grad_()

    whole, whole_mask = stage(x, mask)
    pieces, pieces_mask, states = run_steps(stage, x, mask, blocks)
    count = -(-steps // stage.stride)
    assert whole.shape[1] == whole_mask.shape[1] == count
    expected = [-(-length // stage.stride) for length in lengths]
    assert whole_mask.sum(1).tolist() == expected, "an output step exists where its first input step does"

    # Streaming = offline: masks, outputs, gradients.
    assert torch.equal(pieces_mask[:, :count], whole_mask)
    assert not pieces_mask[:, count:].any()
    exists = whole_mask[..., None]
    torch.testing.assert_close(
        torch.where(exists, pieces[:, :count], 0.0), torch.where(exists, whole, 0.0), rtol=1e-9, atol=1e-9
    )
    weights = torch.randn_like(whole)
    if inner:
        x = torch.where(mask[..., None], x.detach(), 1e3).requires_grad_()
        whole_again, again = stage(x, mask)[0], run_steps(stage, x, mask, blocks, 1e3)[0]
    else:
        whole_again, again = whole, pieces
    for a, b in zip(
        gradients(stage, whole_again, whole_mask, x, weights),
        gradients(stage, again[:, :count], whole_mask, x, weights),
        strict=True,
    ):
        assert torch.isfinite(a).all(), "NaN in the padding must not reach a gradient"
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)

    # States: one structure and shape for ever; the state that goes in is left alone.
    shapes = [[(t.shape, t.dtype) for t in flat(state)] for state in states]
    assert all(other == shapes[0] for other in shapes), "a state's structure and shapes are constant"
    with torch.no_grad():
        first = stage.init_state(len(lengths), clean)
        before = [t.clone() for t in flat(first)]
        stage.step(clean[:, :1].expand(-1, stage.block, -1), torch.ones(len(lengths), stage.block) > 0, first)
        assert all(torch.equal(a, b) for a, b in zip(before, flat(first), strict=True)), (
            "step must not change its state"
        )

        x = padded(clean, lengths)[0]
        verify_rows(stage, x.detach(), mask, whole.detach(), whole_mask)
        verify_states(stage, x.detach(), mask, pieces.detach(), count, states)


def verify_rows(stage: Streaming, x: Tensor, mask: Tensor, whole: Tensor, whole_mask: Tensor) -> None:
    """A row alone = the same row in a batch, and what other rows hold does not change a bit of it."""
    for row in range(len(x)):
        length = int(mask[row].sum())
        alone, _ = stage(x[row : row + 1, :length], mask[row : row + 1, :length])
        n = int(whole_mask[row].sum())
        torch.testing.assert_close(alone[0, :n], whole[row, :n], rtol=1e-9, atol=1e-9)
    if len(x) < 2:
        return
    other = torch.where(torch.arange(len(x))[:, None, None] == 0, x, torch.randn_like(x))
    a, _, _ = run_steps(stage, x, mask, [1])
    b, _, _ = run_steps(stage, other, mask, [1])
    n = int(whole_mask[0].sum())
    assert torch.equal(a[0, :n], b[0, :n]), "other rows must not change a bit"


def verify_states(stage: Streaming, x: Tensor, mask: Tensor, y: Tensor, count: int, states: list[State]) -> None:
    """Split, stacked in another order, saved and loaded, a state goes on as if nothing had happened."""
    middle = states[len(states) // 2]
    if not batch_size(middle):
        return
    order = list(reversed(range(len(x))))
    there = stack([split(middle)[row] for row in order])
    back = select(there, order)
    file = io.BytesIO()
    torch.save(back, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    for a, b, c in zip(flat(middle), flat(back), flat(loaded), strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)
    block = torch.randn(len(x), stage.block, x.shape[2], dtype=x.dtype)
    exists = torch.ones(len(x), stage.block, dtype=torch.bool)
    one, one_mask, _ = stage.step(block, exists, middle)
    two, two_mask, _ = stage.step(block[order], exists, there)
    assert torch.equal(one_mask, two_mask[order])
    torch.testing.assert_close(
        torch.where(one_mask[..., None], one, 0.0),
        torch.where(one_mask[..., None], two[order], 0.0),
        rtol=1e-9,
        atol=1e-9,
    )


def verify_lookahead(stage: Streaming, channels: int, steps: int, seed: int = 0) -> None:
    """Measured look-ahead = declared look-ahead, by gradients and by NaN in the future."""
    torch.manual_seed(seed)
    x = torch.randn(1, steps, channels, dtype=torch.float64, requires_grad=True)
    mask = torch.ones(1, steps, dtype=torch.bool)
    y, _ = stage(x, mask)
    furthest = 0
    for step in range(y.shape[1]):
        (gradient,) = torch.autograd.grad(y[0, step].square().sum(), x, retain_graph=True)
        touched = gradient[0].abs().sum(-1).nonzero()
        if len(touched):
            furthest = max(furthest, int(touched.max()) - step * stage.stride)
    # The end of the input must not hide look-ahead: some output has all of it inside.
    assert steps > 2 * stage.lookahead + 2 * stage.stride
    assert furthest == stage.lookahead, f"declared look-ahead {stage.lookahead}, measured {furthest}"

    for cut in range(stage.lookahead + 1, steps, max(1, steps // 7)):
        poisoned = x.detach().clone()
        poisoned[:, cut:] = NAN
        z, _ = stage(poisoned, mask)
        safe = (cut - 1 - stage.lookahead) // stage.stride + 1  # outputs whose look-ahead ends before the cut
        assert torch.equal(z[:, :safe].isnan(), torch.zeros_like(z[:, :safe], dtype=torch.bool))
        torch.testing.assert_close(z[:, :safe], y.detach()[:, :safe], rtol=1e-9, atol=1e-9)
