"""`verify_contract`: holds a stage to the streaming contract of `transducer.model.sequence`."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from transducer.errors import UsageError
from transducer.model.sequence import Aux, Side, Streaming, extras
from transducer.model.state import State, batch_size, select, split, stack

NAN = float("nan")
# Rows -> what the stage needs besides x: tensors by name.
MakeSide = Callable[[int], Side]


def flat(state: State) -> list[Tensor]:
    """The tensors of a state, in order."""
    if isinstance(state, Tensor):
        return [state]
    parts = [state[name] for name in sorted(state)] if isinstance(state, dict) else state
    return [tensor for part in parts for tensor in flat(part)]


def padded(x: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    """NaN beyond each row's length, and the mask."""
    mask = torch.arange(x.shape[1], device=x.device)[None] < torch.tensor(lengths, device=x.device)[:, None]
    return torch.where(mask[..., None], x, torch.full_like(x, NAN)), mask


def run_forward(stage: Streaming, x: Tensor, mask: Tensor, side: Side | None = None, aux: Aux | None = None):
    return stage(x, mask, **extras(stage, side, aux))


def run_steps(
    stage: Streaming,
    x: Tensor,
    mask: Tensor,
    blocks: Sequence[int],
    poison: float = NAN,
    side: Side | None = None,
    aux: list[Aux] | None = None,
):
    """Feed x in pieces of so many blocks (round and round), then what does not exist until all has come out.

    Returns the outputs and their mask without the first `latency` steps, and every state on the way. The auxiliary
    outputs of each step are appended to `aux`.
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
        found: Aux | None = None if aux is None else {}
        y, y_mask, new = stage.step(
            x[:, start : start + size], mask[:, start : start + size], states[-1], **extras(stage, side, found)
        )
        assert y.shape[:2] == (batch, size // stage.stride) == y_mask.shape
        outputs.append(y)
        masks.append(y_mask)
        states.append(new)
        if aux is not None:
            aux.append(found)
        start, turn = start + size, turn + 1
    return torch.cat(outputs, 1)[:, stage.latency :], torch.cat(masks, 1)[:, stage.latency :], states


def gradients(stage: Streaming, y: Tensor, mask: Tensor, inputs: Sequence[Tensor], weights: Tensor) -> list[Tensor]:
    loss = (torch.where(mask[..., None], y, torch.zeros_like(y)) * weights).sum()
    wanted = [tensor for tensor in (*inputs, *stage.parameters()) if tensor.requires_grad]
    found = torch.autograd.grad(loss, wanted, allow_unused=True)
    return [torch.zeros(()) if g is None else g for g in found]


def verify_contract(
    stage: Streaming,
    channels: int,
    lengths: Sequence[int],
    blocks: Sequence[int],
    seed: int,
    inner: bool = False,
    side: MakeSide | None = None,
) -> None:
    """Everything that the contract says, for one stage, rows of these lengths, one way of cutting.

    Args:
        stage: in float64 and eval mode; inputs are made on its device.
        channels: of its input.
        blocks: sizes of the pieces in blocks, used round and round.
        inner: the stage never comes first in a model. Its outputs are still checked with NaN in the padding, but
            the gradients of its weights with numbers there: 0 times NaN is NaN, and the first stage removes them.
        side: makes its side inputs, where it has some.
    """
    torch.manual_seed(seed)
    device = next((t.device for t in (*stage.parameters(), *stage.buffers())), None)
    steps = max(lengths)
    clean = torch.randn(len(lengths), steps, channels, dtype=torch.float64, device=device)
    x, mask = padded(clean, lengths)
    x.requires_grad_()
    given = _side_of(stage, side, len(lengths))
    inputs = [x, *given.values()]

    offline: Aux = {}
    whole, whole_mask = run_forward(stage, x, mask, given, offline)
    count = -(-steps // stage.stride)
    assert whole.shape[1] == whole_mask.shape[1] == count
    expected = [-(-length // stage.stride) for length in lengths]
    assert whole_mask.sum(1).tolist() == expected, "an output step exists where its first input step does"
    assert tuple(offline) == stage.aux_outputs, "auxiliary outputs are those that are declared"
    with torch.no_grad():
        verify_rows(stage, padded(clean, lengths)[0], mask, whole.detach(), whole_mask, given)
        verify_extras(stage, x.detach(), mask, whole.detach(), given)
    if not stage.can_step:
        verify_no_step(stage, x.detach(), mask)
        return

    # Streaming = offline: masks, outputs, gradients.
    online: list[Aux] = []
    pieces, pieces_mask, states = run_steps(stage, x, mask, blocks, side=given, aux=online)
    assert torch.equal(pieces_mask[:, :count], whole_mask)
    assert not pieces_mask[:, count:].any()
    assert_close_where(whole_mask, pieces[:, :count], whole)
    verify_aux(offline, online)
    weights = torch.randn_like(whole)
    if inner:
        x = torch.where(mask[..., None], x.detach(), 1e3).requires_grad_()
        inputs = [x, *given.values()]
        whole_again = run_forward(stage, x, mask, given)[0]
        again = run_steps(stage, x, mask, blocks, 1e3, given)[0]
    else:
        whole_again, again = whole, pieces
    for a, b in zip(
        gradients(stage, whole_again, whole_mask, inputs, weights),
        gradients(stage, again[:, :count], whole_mask, inputs, weights),
        strict=True,
    ):
        assert torch.isfinite(a).all(), "NaN in the padding must not reach a gradient"
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)

    # States: one structure and shape for ever; the state that goes in is left alone.
    shapes = [[(t.shape, t.dtype) for t in flat(state)] for state in states]
    assert all(other == shapes[0] for other in shapes), "a state's structure and shapes are constant"
    with torch.no_grad():
        verify_purity(stage, clean, given)
        x = padded(clean, lengths)[0]
        if len(x) > 1:
            other = torch.where(torch.arange(len(x), device=x.device)[:, None, None] == 0, x, torch.randn_like(x))
            a, b = (run_steps(stage, rows, mask, [1], side=given)[0] for rows in (x, other))
            assert torch.equal(a[0, : expected[0]], b[0, : expected[0]]), "other rows must not change a bit"
        verify_states(stage, x, states, given)


def assert_close_where(mask: Tensor, a: Tensor, b: Tensor) -> None:
    """Equal up to rounding in float64, where the mask says that steps exist."""
    exists = mask.view(*mask.shape, *[1] * (a.ndim - mask.ndim))
    torch.testing.assert_close(torch.where(exists, a, 0.0), torch.where(exists, b, 0.0), rtol=1e-9, atol=1e-9)


def verify_rows(stage: Streaming, x: Tensor, mask: Tensor, whole: Tensor, whole_mask: Tensor, side: Side) -> None:
    """A row alone = the same row in a batch, side inputs and all."""
    for row in range(len(x)):
        length, n = int(mask[row].sum()), int(whole_mask[row].sum())
        alone, _ = run_forward(stage, x[row : row + 1, :length], mask[row : row + 1, :length], select(side, [row]))
        torch.testing.assert_close(alone[0, :n], whole[row, :n], rtol=1e-9, atol=1e-9)


def verify_extras(stage: Streaming, x: Tensor, mask: Tensor, whole: Tensor, side: Side) -> None:
    """Who asks for auxiliary outputs changes nothing; a side input that is missing is named."""
    again, again_mask = run_forward(stage, x, mask, side)
    assert torch.equal(torch.where(again_mask[..., None], again, 0.0), torch.where(again_mask[..., None], whole, 0.0))
    for name in stage.side_inputs:
        rest = {other: value for other, value in side.items() if other != name}
        with pytest.raises(UsageError, match=f"needs the side input '{name}'"):
            run_forward(stage, x, mask, rest)


def verify_no_step(stage: Streaming, x: Tensor, mask: Tensor) -> None:
    """A stage that cannot step says so, and how to use it."""
    with pytest.raises(UsageError, match="cannot run as a stream: use it offline"):
        stage.init_state(len(x), x)
    with pytest.raises(UsageError, match="cannot run as a stream: use it offline"):
        stage.step(x, mask, ())


def verify_aux(offline: Aux, online: Sequence[Aux]) -> None:
    """What exists of the auxiliary outputs of all steps, one after the other, is what `forward` gives."""
    for name, (whole, whole_mask) in offline.items():
        pieces, mask = (torch.cat([found[name][part] for found in online], dim=1) for part in (0, 1))
        assert torch.equal(mask.sum(1), whole_mask.sum(1))
        for row in range(len(whole)):
            torch.testing.assert_close(pieces[row][mask[row]], whole[row][whole_mask[row]], rtol=1e-9, atol=1e-9)


def verify_purity(stage: Streaming, x: Tensor, side: Side) -> None:
    """A step leaves its state alone."""
    first = stage.init_state(len(x), x)
    before = [t.clone() for t in flat(first)]
    mask = torch.ones(len(x), stage.block, dtype=torch.bool, device=x.device)
    stage.step(x[:, :1].expand(-1, stage.block, -1), mask, first, **extras(stage, side, None))
    assert all(torch.equal(a, b) for a, b in zip(before, flat(first), strict=True)), "step must not change its state"


def verify_states(stage: Streaming, x: Tensor, states: list[State], side: Side) -> None:
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
    block = torch.randn(len(x), stage.block, x.shape[2], dtype=x.dtype, device=x.device)
    exists = torch.ones(len(x), stage.block, dtype=torch.bool, device=x.device)
    turned = stack([split(side)[row] for row in order]) if side else side
    one, one_mask, _ = stage.step(block, exists, middle, **extras(stage, side, None))
    two, two_mask, _ = stage.step(block[order], exists, there, **extras(stage, turned, None))
    assert torch.equal(one_mask, two_mask[order])
    assert_close_where(one_mask, one, two[order])


def _side_of(stage: Streaming, side: MakeSide | None, rows: int) -> dict[str, Any]:
    given = dict(side(rows)) if side else {}
    assert set(given) == set(stage.side_inputs), "the test has to make the side inputs that are declared"
    return {name: value.requires_grad_() if value.is_floating_point() else value for name, value in given.items()}


def verify_lookahead(stage: Streaming, channels: int, steps: int, seed: int = 0, side: MakeSide | None = None) -> None:
    """Measured look-ahead = declared look-ahead, by gradients and by NaN in the future."""
    torch.manual_seed(seed)
    device = next((t.device for t in (*stage.parameters(), *stage.buffers())), None)
    x = torch.randn(1, steps, channels, dtype=torch.float64, requires_grad=True, device=device)
    mask = torch.ones(1, steps, dtype=torch.bool, device=device)
    given = _side_of(stage, side, 1)
    y, _ = run_forward(stage, x, mask, given)
    furthest = 0
    for step in range(y.shape[1]):
        (gradient,) = torch.autograd.grad(y[0, step].square().sum(), x, retain_graph=True, allow_unused=True)
        # Whole numbers, such as those of words, have no gradient: of them the test below tells.
        touched = [] if gradient is None else gradient[0].abs().sum(-1).nonzero()
        if len(touched):
            furthest = max(furthest, int(touched.max()) - step * stage.stride)
    # The end of the input must not hide look-ahead: some output has all of it inside.
    assert steps > 2 * stage.lookahead + 2 * stage.stride
    assert furthest == stage.lookahead, f"declared look-ahead {stage.lookahead}, measured {furthest}"

    for cut in range(stage.lookahead + 1, steps, max(1, steps // 7)):
        poisoned = x.detach().clone()
        poisoned[:, cut:] = NAN
        z, _ = run_forward(stage, poisoned, mask, given)
        safe = (cut - 1 - stage.lookahead) // stage.stride + 1  # outputs whose look-ahead ends before the cut
        assert torch.equal(z[:, :safe].isnan(), torch.zeros_like(z[:, :safe], dtype=torch.bool))
        torch.testing.assert_close(z[:, :safe], y.detach()[:, :safe], rtol=1e-9, atol=1e-9)


def verify_whole(stage: Streaming, channels: int, steps: int, seed: int = 0) -> None:
    """A stage that cannot step has a reason: its first output depends on the last step that exists."""
    torch.manual_seed(seed)
    x = torch.randn(1, steps, channels, dtype=torch.float64, requires_grad=True)
    y, _ = run_forward(stage, x, torch.ones(1, steps, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(y[0, 0].square().sum(), x)
    assert gradient[0, -1].abs().sum() > 0
