"""The attention head: its losses, what it is measured by, and that it learns to attend."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from transducer.errors import UsageError
from transducer.heads.attention import AttentionConfig, AttentionHead
from transducer.heads.ctc import ctc_nll
from transducer.model.config import ModelConfig

TOKENS = 6
TARGETS = ([1, 2, 2, 5], [], [4])


def build(seed: int = 0, **config) -> AttentionHead:
    torch.manual_seed(seed)
    return AttentionConfig("units", **{"channels": 8, "heads": 2, "layers": 1, **config}).build(
        8, ModelConfig(units={"units": TOKENS})
    )


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(3, 7, 8), torch.arange(7) < torch.tensor([[7], [3], [5]])


@pytest.mark.parametrize("decoder", ["transformer", "gru"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_torchs_cross_entropy_of_tokens_and_ends(decoder, smoothing):
    head = build(decoder=decoder, smoothing=smoothing).eval()
    x, mask = batch()
    loss = head.loss(*head(x, mask), TARGETS)
    total = 0.0
    for row, target in enumerate(TARGETS):
        if target:
            memory = head.decoder.attend_to(x[row : row + 1], mask[row : row + 1])
            logits, _ = head.decoder(torch.tensor([[0, *target]]), memory)
            wanted = torch.tensor([*target, 0])
            total += nn.functional.cross_entropy(logits[0], wanted, reduction="sum", label_smoothing=smoothing)
    assert loss.count == 5
    torch.testing.assert_close(loss.total, total)


def test_hybrid_loss_and_outputs():
    """Steps come out as they went in, CTC's log-probabilities behind them; the losses are weighed."""
    head, plain = build(ctc=0.3).eval(), build().eval()
    plain.decoder.load_state_dict(head.decoder.state_dict())
    x, mask = batch()
    outputs, _ = head(x, mask)
    assert torch.equal(outputs[..., :8], x) and outputs.shape[-1] == 8 + TOKENS
    assert torch.equal(plain(x, mask)[0], x)
    ctc = ctc_nll(head.ctc(x, mask)[0], mask.sum(1), TARGETS)[[0, 2]].sum()
    expected = 0.7 * plain.loss(x, mask, TARGETS).total + 0.3 * ctc
    torch.testing.assert_close(head.loss(outputs, mask, TARGETS).total, expected)


def test_scheduled_sampling_is_for_training():
    head, x = build(sampling=0.9, decoder="lstm"), batch()
    head.eval()
    assert head.loss(*x, TARGETS).total == head.loss(*x, TARGETS).total
    head.train()
    assert len({head.loss(*x, TARGETS).total.item() for _ in range(8)}) > 1


@pytest.mark.parametrize("attention", ["transformer", "additive", "general"])
def test_it_learns_to_copy_backwards_and_attends_to_what_it_writes(attention):
    """Of random tokens nothing but attention tells the next one: its map becomes the reversed diagonal."""
    torch.manual_seed(0)
    config = {"decoder": "transformer"} if attention == "transformer" else {"decoder": "gru", "attention": attention}
    head = AttentionConfig("units", channels=32, heads=1, layers=1, smoothing=0.0, **config).build(
        16, ModelConfig(units={"units": TOKENS})
    )
    mask = torch.ones(32, 4) > 0

    def draw() -> tuple[torch.Tensor, list[list[int]]]:
        texts = torch.randint(1, TOKENS, (32, 4))
        steps = nn.functional.one_hot(texts, 8).float(), nn.functional.one_hot(torch.arange(4), 8).expand(32, 4, 8)
        return 4 * torch.cat(steps, dim=-1), texts.flip(1).tolist()

    optimizer = torch.optim.AdamW(head.parameters(), 0.01)
    for _ in range(400):
        x, targets = draw()
        loss = head.loss(*head(x, mask), targets).mean
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.01:
            break
    head.eval()
    x, targets = draw()
    maps = head.attention_maps(x, mask, targets)
    assert maps.shape == (32, 1, 1, 5, 4)
    assert (maps[:, 0, 0, :4].argmax(-1) == torch.arange(3, -1, -1)).float().mean() > 0.9
    metric = head.metric()
    for row, target in zip(x, targets, strict=True):
        metric.add(row, target)
    assert (metric.name, metric.total) == ("error", 128) and metric.rate < 0.02


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"decoder": "mamba"}, "unknown decoder 'mamba': there are transformer, lstm, gru"),
        ({"decoder": "gru", "attention": "cosine"}, "unknown attention 'cosine'"),
        ({"attention": "dot"}, "a Transformer has multi-head attention: 'dot' goes with the decoders lstm and gru"),
        ({"ctc": 1.0}, "ctc of an attention decoder is from 0 to below 1"),
        ({"smoothing": -0.1}, "smoothing of an attention decoder"),
        ({"longest": 0}, "leave room"),
    ],
)
def test_configs_that_make_no_sense(wrong, message):
    with pytest.raises(UsageError, match=message):
        AttentionConfig(**wrong)


def test_papers_are_names_too():
    assert AttentionConfig(decoder="gru", attention="bahdanau") and AttentionConfig(decoder="gru", attention="luong")


def test_targets_that_are_too_long_are_refused():
    head, x = build(positions="learned", longest=3), batch()
    head.loss(*x, [[1, 2, 3], [], [1]])
    with pytest.raises(UsageError, match="a target has 4 tokens, and the decoder reads 3 at most"):
        head.loss(*x, TARGETS)


def test_there_is_a_limit():
    head = build(ratio=0.5, extra=2, longest=9)
    assert [head.limit(steps) for steps in (0, 1, 4, 100)] == [2, 3, 4, 9]
