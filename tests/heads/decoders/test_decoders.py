"""Decoders against torch.nn, and step by step against all at once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from transducer.cores.multihead import MultiHeadAttention, masked_softmax, sinusoids
from transducer.heads.decoders.decoder import Decoder
from transducer.heads.decoders.recurrent import Cell, RecurrentDecoder
from transducer.heads.decoders.scores import SCORES, build_attention
from transducer.heads.decoders.transformer import TransformerDecoder, TransformerDecoderConfig

TOKENS, CHANNELS, MEMORY = 7, 8, 8
DECODERS = {
    "transformer": lambda: TransformerDecoder(TOKENS, CHANNELS, MEMORY, 2, 2),
    "transformer tied": lambda: TransformerDecoder(
        TOKENS, CHANNELS, 6, 2, 2, 12, positions="learned", longest=50, tied=True, key_bias=False
    ),
    "transformer rotary tied": lambda: TransformerDecoder(
        TOKENS,
        CHANNELS,
        6,
        2,
        2,
        12,
        positions="rotary",
        tied=True,
        bias=False,
        gated=True,
        rotary=(0.5, 100.0),
        memory_steps=9,
    ),
    **{
        f"{kind} {score}": lambda kind=kind, score=score: RecurrentDecoder(
            TOKENS, CHANNELS, MEMORY, kind, score, 1 + (kind == "gru"), 2
        )
        for kind in ("lstm", "gru")
        for score in SCORES
    },
}


def build(name: str) -> tuple[Decoder, int]:
    torch.manual_seed(0)
    decoder = DECODERS[name]().double().eval().requires_grad_(False)
    for parameter in decoder.parameters():
        parameter += 0.1 * torch.randn_like(parameter)
    return decoder, 6 if name.endswith("tied") else MEMORY


def inputs(channels: int, rows: int = 3, steps: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """A memory with NaN where there is none."""
    mask = torch.arange(steps) < torch.tensor([[5], [2], [4]])[:rows]
    memory = torch.randn(rows, steps, channels, dtype=torch.float64)
    return torch.where(mask[..., None], memory, torch.nan), mask


@pytest.mark.parametrize("name", DECODERS)
def test_token_by_token_is_all_at_once(name):
    """Beyond the capacity of a new cache, and with rows that are chosen on the way."""
    decoder, channels = build(name)
    steps = inputs(channels)
    memory = decoder.attend_to(*steps)
    tokens = torch.randint(TOKENS, (3, 40))
    logits, weights = decoder(tokens, memory)
    assert logits.shape == (3, 40, TOKENS) and weights.shape[::3] == (3, 40) and weights.shape[-1] == 5
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    assert not weights[1, ..., 2:].any()
    state, order = decoder.start(memory), torch.arange(3)
    for position in range(40):
        if position == 20:
            order = torch.tensor([2, 0, 0, 1])
            state = state.select(order)
            memory = decoder.attend_to(*(part[order] for part in steps))
        said, seen, state = decoder.step(tokens[order, position], memory, state)
        torch.testing.assert_close(said, logits[order, position])
        torch.testing.assert_close(seen, weights[order, :, :, position].mean(dim=(1, 2)))


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("counts", [(1, 5, 34), (40,)])
def test_several_tokens_at_once_are_one_after_the_other(name, counts):
    decoder, channels = build(name)
    memory, tokens = decoder.attend_to(*inputs(channels)), torch.randint(TOKENS, (3, 40))
    logits, _ = decoder(tokens, memory)
    state, end = decoder.start(memory), 0
    for count in counts:
        last, end = min(count, 3), end + count
        said, state = decoder.extend(tokens[:, end - count : end], memory, state, last)
        torch.testing.assert_close(said, logits[:, end - last : end])


@pytest.mark.parametrize("part", TransformerDecoderConfig.examples())
def test_a_few_heads_are_those_of_all(part):
    torch.manual_seed(0)
    decoder = part.build(TOKENS, 6).double().eval()
    memory, tokens = decoder.attend_to(*inputs(6)), torch.randint(TOKENS, (3, 9))
    _, weights = decoder(tokens, memory)
    heads = [(part.layers - 1, 1), (0, 0)]
    seen = decoder.aligned(tokens, memory, heads)
    torch.testing.assert_close(seen, torch.stack([weights[:, layer, head] for layer, head in heads], dim=1))


@pytest.mark.parametrize("name", DECODERS)
def test_the_future_and_padding_do_not_matter(name):
    decoder, channels = build(name)
    memory, mask = inputs(channels)
    tokens = torch.randint(TOKENS, (3, 9))
    logits, _ = decoder(tokens, decoder.attend_to(memory, mask))
    other = tokens.clone()
    other[:, 5:] = (other[:, 5:] + 1) % TOKENS
    torch.testing.assert_close(decoder(other, decoder.attend_to(memory, mask))[0][:, :5], logits[:, :5])
    alone = decoder(tokens[1:2], decoder.attend_to(memory[1:2, :2], mask[1:2, :2]))[0]
    torch.testing.assert_close(alone, logits[1:2])
    assert not torch.allclose(logits[:, -1], decoder(other, decoder.attend_to(memory, mask))[0][:, -1])


def test_parity_with_torchs_transformer_decoder():
    torch.manual_seed(0)
    ours = TransformerDecoder(TOKENS, CHANNELS, CHANNELS, 2, 2, 12).double().eval()
    layer = nn.TransformerDecoderLayer(CHANNELS, 2, 12, 0.0, "gelu", batch_first=True, norm_first=True)
    theirs = nn.TransformerDecoder(layer, 2, nn.LayerNorm(CHANNELS)).double().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
        for mine, other in zip(ours.layers, theirs.layers, strict=True):
            for attention, torchs in (
                (mine.self_attention, other.self_attn),
                (mine.cross_attention, other.multihead_attn),
            ):
                parts = zip(torchs.in_proj_weight.chunk(3), torchs.in_proj_bias.chunk(3), strict=True)
                for linear, (weight, bias) in zip(
                    (attention.query, attention.key, attention.value), parts, strict=True
                ):
                    linear.weight.copy_(weight)
                    linear.bias.copy_(bias)
                attention.out.load_state_dict(torchs.out_proj.state_dict())
            norms = zip(
                (mine.self_norm, mine.cross_norm, mine.feed_norm), (other.norm1, other.norm2, other.norm3), strict=True
            )
            for norm, torchs in (
                *norms,
                (mine.feed_forward[0], other.linear1),
                (mine.feed_forward[3], other.linear2),
            ):
                norm.load_state_dict(torchs.state_dict())
        ours.norm.load_state_dict(theirs.norm.state_dict())
    tokens = torch.randint(TOKENS, (3, 6))
    memory, mask = inputs(CHANNELS)
    memory = memory.nan_to_num()
    logits, weights = ours(tokens, ours.attend_to(memory, mask))
    x = ours.embedding(tokens) + sinusoids(torch.arange(6), CHANNELS)
    causal = nn.Transformer.generate_square_subsequent_mask(6, dtype=torch.float64)
    expected = theirs(x, memory, tgt_mask=causal, memory_key_padding_mask=~mask)
    torch.testing.assert_close(logits, ours.out(expected))
    normed = theirs.layers[0].norm1(x)
    x = x + theirs.layers[0].self_attn(normed, normed, normed, attn_mask=causal)[0]
    seen = theirs.layers[0].multihead_attn(
        theirs.layers[0].norm2(x), memory, memory, key_padding_mask=~mask, average_attn_weights=False
    )[1]
    torch.testing.assert_close(weights[:, 0], seen)


@pytest.mark.parametrize(("kind", "torchs"), [("lstm", nn.LSTMCell), ("gru", nn.GRUCell)])
def test_cells_are_torchs(kind, torchs):
    torch.manual_seed(0)
    cell, other = Cell(kind, 5, 4).double(), torchs(5, 4).double()
    for linear, end in ((cell.of_input, "ih"), (cell.of_state, "hh")):
        linear.weight, linear.bias = getattr(other, f"weight_{end}"), getattr(other, f"bias_{end}")
    x, hidden, kept = (torch.randn(3, size, dtype=torch.float64) for size in (5, 4, 4))
    found = cell(x, hidden, kept)
    if kind == "lstm":
        torch.testing.assert_close(found, other(x, (hidden, kept)))
    else:
        torch.testing.assert_close(found, (other(x, hidden), kept))


def test_scores_are_what_the_papers_say():
    torch.manual_seed(0)
    query, memory = torch.randn(2, 4), torch.randn(2, 3, 4)
    exists = torch.tensor([[True, True, True], [True, False, False]])
    for name in SCORES:
        attention = build_attention(name, 4, 4, 2)
        context, weights = attention(query, *attention.prepare(memory), exists)
        assert weights.shape == (2, 2 if name == "multihead" else 1, 3) and context.shape == (2, 4)
        assert torch.equal(weights[1, :, 0], torch.ones_like(weights[1, :, 0]))
        if name in ("additive", "concat"):
            scores = torch.stack(
                [torch.tanh(attention.query(query[0]) + attention.key(step)) @ attention.vector for step in memory[0]]
            )
        elif name == "dot":
            scores = memory[0] @ query[0]
        elif name == "general":
            scores = torch.stack([query[0] @ attention.key(step) for step in memory[0]])
        else:
            mha = nn.MultiheadAttention(4, 2, batch_first=True)
            with torch.no_grad():
                mha.in_proj_weight.copy_(
                    torch.cat([part.weight for part in (attention.query, attention.key, attention.value)])
                )
                mha.in_proj_bias.copy_(
                    torch.cat([part.bias for part in (attention.query, attention.key, attention.value)])
                )
            expected = mha(query[:1, None], memory[:1], memory[:1], average_attn_weights=False)[1]
            torch.testing.assert_close(weights[0], expected[0, :, 0])
            continue
        torch.testing.assert_close(weights[0, 0], scores.softmax(0))
        torch.testing.assert_close(context[0], scores.softmax(0) @ memory[0])


def test_attention_of_heads_is_torchs_scaled_dot_product():
    torch.manual_seed(0)
    attention = MultiHeadAttention(8, 2, 6, key_bias=False)
    x, memory, mask = torch.randn(2, 3, 8), torch.randn(2, 4, 6), torch.arange(4) < torch.tensor([[4], [1]])
    keys, values = attention.keys_values(memory)
    found, weights = attention(x, keys, values, mask[:, None, None])
    q = attention.query(x).unflatten(-1, (2, -1)).transpose(1, 2)
    expected = nn.functional.scaled_dot_product_attention(q, keys, values, mask[:, None, None])
    torch.testing.assert_close(found, attention.out(expected.transpose(1, 2).flatten(2)))
    assert weights.shape == (2, 2, 3, 4)


def test_nothing_visible_is_no_nan():
    assert torch.equal(masked_softmax(torch.randn(4), torch.zeros(4, dtype=torch.bool)), torch.full((4,), 0.25))


@pytest.mark.parametrize("name", ["transformer", "lstm additive", "gru general"])
def test_scheduled_sampling_reads_what_the_decoder_says(name):
    """With probability 1 it is greedy decoding, for recurrent decoders; with 0 it is teacher forcing."""
    decoder, channels = build(name)
    memory = decoder.attend_to(*inputs(channels))
    tokens = torch.randint(TOKENS, (3, 6))
    torch.testing.assert_close(decoder(tokens, memory, 0.0)[0], decoder(tokens, memory)[0])
    sampled, _ = decoder(tokens, memory, 1.0)
    own = decoder(tokens, memory)[0][:, :-1] if name == "transformer" else sampled[:, :-1]
    read = torch.cat([tokens[:, :1], own.argmax(-1)], dim=1)
    torch.testing.assert_close(sampled, decoder(read, memory)[0])
    assert not torch.equal(read, tokens)


def test_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match="as wide as its memory, got 8 and 6"):
        RecurrentDecoder(TOKENS, 8, 6, "lstm", "dot")
    with pytest.raises(ValueError, match="unknown attention 'cosine'"):
        RecurrentDecoder(TOKENS, 8, 6, "lstm", "cosine")
    with pytest.raises(ValueError, match="3 learned positions cannot read 4 tokens"):
        decoder = TransformerDecoder(TOKENS, 8, 8, 2, 1, positions="learned", longest=3)
        decoder(torch.zeros(1, 4, dtype=torch.long), decoder.attend_to(torch.zeros(1, 2, 8), torch.ones(1, 2) > 0))
