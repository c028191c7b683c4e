"""Moonshine and Moonshine Streaming against transformers, on small models with random weights, and wrong folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import transducer
from transducer.errors import CheckpointError
from transducer.model.checkpoint import save_checkpoint
from transducer.text.tokenizers.files import load_tokenizer, save_tokenizer

transformers = pytest.importorskip("transformers")

PIECES = ["<unk>", "<s>", "</s>", "<0xC3>", "<0xA9>", "▁", "a", "b", "c", "ab", "▁a", "▁ab", "bc"]
MARKS = ["<<ST_0>>", "<<ST_1>>"]
MERGES = [["a", "b"], ["▁", "a"], ["▁", "ab"], ["b", "c"]]
SIZE = len(PIECES) + len(MARKS)
DECODER = {"vocab_size": SIZE, "hidden_size": 24, "intermediate_size": 20}
CONFIGS = {
    "moonshine": lambda: transformers.MoonshineConfig(
        **DECODER,
        encoder_num_hidden_layers=2,
        decoder_num_hidden_layers=2,
        encoder_num_attention_heads=2,
        decoder_num_attention_heads=3,
        max_position_embeddings=30,
        pad_head_dim_to_multiple_of=8,
        pad_token_id=2,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.67},
    ),
    "moonshine_streaming": lambda: transformers.MoonshineStreamingConfig(
        **DECODER,
        encoder_config={
            "hidden_size": 16,
            "intermediate_size": 12,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "sliding_windows": [[3, 2], [4, 0], [2, 4]],
        },
        num_hidden_layers=2,
        num_attention_heads=3,
        num_key_value_heads=3,
        max_position_embeddings=50,
        decoder_start_token_id=1,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.8},
    ),
}
KINDS = {"moonshine": "Moonshine", "moonshine_streaming": "MoonshineStreaming"}


def publish(folder: Path, family: str):
    """A folder as people publish them, and transformers' model in it."""
    torch.manual_seed(0)
    kind = getattr(transformers, f"{KINDS[family]}ForConditionalGeneration")
    model = kind(CONFIGS[family]()).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    added = [*PIECES[:3], *MARKS]
    tokenizer = {
        "version": "1.0",
        "added_tokens": [
            {
                "id": [*PIECES, *MARKS].index(mark),
                "content": mark,
                "special": True,
                **dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False),
            }
            for mark in added
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "pre_tokenizer": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "byte_fallback": True,
            "unk_token": "<unk>",
            "vocab": {piece: number for number, piece in enumerate(PIECES)},
            "merges": MERGES,
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return model


def segments(hop: int, *steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Steps of noise with NaN where there are none, (N, T, hop), and their mask."""
    generator = torch.Generator().manual_seed(1)
    mask = torch.arange(max(steps)) < torch.tensor(steps)[:, None]
    return torch.randn(*mask.shape, hop, generator=generator).where(mask[..., None], torch.nan), mask


@pytest.mark.parametrize("family", CONFIGS)
def test_parity_of_full_runs_of_padded_rows_and_of_cached_decoding(tmp_path, family):
    model = publish(tmp_path, family)
    loaded = transducer.load(tmp_path)
    head = loaded.network.heads["segment"]
    stride = 3 if family == "moonshine" else 4
    features, mask = segments(loaded.config.core.channels, 32, 9, 1)
    states, exists = head.encode(features, mask)
    tokens = torch.randint(SIZE, (3, 7), generator=torch.Generator().manual_seed(2))
    memory = head.decoder.attend_to(states, exists)
    logits, _ = head.decoder(tokens, memory)
    for row, length in enumerate(mask.sum(1).tolist()):
        wave, count = features[row, :length].flatten(), -(-length // stride)
        if family == "moonshine":  # the silence that follows here
            wave = torch.nn.functional.pad(wave, (0, 3 * 128 * count + 511 - len(wave)))
        there = {"attention_mask": torch.ones(1, len(wave), dtype=torch.long)}
        theirs = model.model.encoder(wave[None], **there).last_hidden_state[0]
        assert exists[row].sum() == count == len(theirs)
        torch.testing.assert_close(states[row, :count], theirs, rtol=0, atol=1e-4)
        said = model(wave[None], **there, decoder_input_ids=tokens[row : row + 1]).logits[0]
        torch.testing.assert_close(logits[row], said, rtol=0, atol=1e-4)
    state, parts = head.decoder.start(memory), []
    for part in tokens.split([3, 1, 2, 1], dim=1):
        found, state = head.decoder.extend(part, memory, state, part.shape[1])
        parts.append(found)
    torch.testing.assert_close(torch.cat(parts, dim=1), logits, rtol=0, atol=1e-4)
    # It can be kept, and trained on, as a checkpoint of the engine's own.
    save_checkpoint(tmp_path / "own", loaded.network, loaded.config, loaded.units, torch.float32)
    own = transducer.load(tmp_path / "own").network.heads["segment"]
    assert torch.equal(own.encode(features, mask)[0].where(exists[..., None], 0), states.where(exists[..., None], 0))


def test_the_encoder_of_moonshine_streaming_is_a_stream(tmp_path):
    """In pieces, what transformers makes of the whole; the rest of the law is in tests/model/test_registry.py."""
    model = publish(tmp_path, "moonshine_streaming")
    encoder = transducer.load(tmp_path).network.heads["segment"].encoder
    assert encoder.can_step and encoder.latency == 1 + 3 and encoder.lookahead == 4 * encoder.latency
    features, _ = segments(80, 32)
    silence = torch.zeros(1, encoder.lookahead, 80)
    state, parts = encoder.init_state(1, features), []
    for x, exists in ((features[:, :8], True), (features[:, 8:12], True), (features[:, 12:], True), (silence, False)):
        y, _, state = encoder.step(x, torch.full(x.shape[:2], exists), state)
        parts.append(y)
    wave = features.flatten(1)
    theirs = model.model.encoder(wave, attention_mask=torch.ones_like(wave).long()).last_hidden_state
    torch.testing.assert_close(torch.cat(parts, dim=1)[:, encoder.latency :], theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", CONFIGS)
def test_it_hears_a_stream_however_it_is_cut(tmp_path, family):
    publish(tmp_path, family)
    model = transducer.load(tmp_path)
    noise = 0.3 * np.random.default_rng(0).standard_normal(16000)
    sound = np.concatenate([np.zeros(4000), noise, np.zeros(16000)]).astype(np.float32)
    found = []
    for parts in (1, 7):
        stream = model.stream(partials=False)
        found.append(
            [segment for part in np.array_split(sound, parts) for segment in stream.push(part)] + stream.finish()
        )
    assert found[0] == found[1] and all(segment.final for segment in found[0])
    assert model.info()["latency_ms"] == 2 * model.info()["chunk_ms"]  # the chunks between two readings


def test_pieces_are_those_of_the_published_tokenizer(tmp_path):
    publish(tmp_path, "moonshine")
    model = transducer.load(tmp_path)
    ours = model.units["tokens"]
    theirs = pytest.importorskip("tokenizers").Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in ("ab", "abc ab", "a  bca", "é ab", ""):
        ids = ours.encode(text)
        assert ids == theirs.encode(text, add_special_tokens=False).ids
        assert ours.decode([1, *ids, 13, 2]) == theirs.decode(ids) == text
    assert ours.word_spans([1, 11, 8, 5, 6, 2]) == [(1, 3), (4, 5)]
    assert ours.decode_whole([11, 3]) == "ab"
    tokens = model.config.heads["segment"].tokens
    assert (tokens.start, tokens.end) == (1, 2)
    (tmp_path / "copy").mkdir()
    save_tokenizer(ours, tmp_path / "copy")
    again = load_tokenizer(tmp_path / "copy")
    assert (again.kind, again.tokens, again.silence) == ("pieces", ours.tokens, ours.silence)


@pytest.mark.parametrize(
    ("family", "tensors", "values", "match"),
    [
        ("moonshine", {"model.decoder.norm.weight": None}, {}, "lacks model.decoder.norm.weight"),
        ("moonshine", {"model.more.weight": 1}, {}, "has weights that its family does not have: model.more.weight"),
        (
            "moonshine",
            {},
            {"attention_bias": True},
            "a variant of its family that cannot be run: attention_bias is True",
        ),
        ("moonshine", {}, {"encoder_num_key_value_heads": 1}, "shares keys between heads of its encoder"),
        ("moonshine", {}, {"rope_parameters": {"rope_type": "yarn"}}, "rotary positions of a kind that cannot be run"),
        ("moonshine", {}, {"rope_parameters": {"partial_rotary_factor": 0.6}}, "turns 7 channels of each head"),
        ("moonshine", {}, {"vocab_size": 99}, "has 99 tokens, and the file with their spelling 15"),
        ("moonshine", {}, {"hidden_size": None}, "has no size 'hidden_size'"),
        ("moonshine", {}, {"model_type": "moonlight"}, "of the family 'moonlight', which cannot be run: there are"),
        (
            "moonshine_streaming",
            {"model.encoder.layers.0.self_attn.k_proj.weight": None},
            {},
            "lacks model.encoder.layers.0.self_attn.k_proj.weight",
        ),
        ("moonshine_streaming", {}, {"encoder_config": None}, "says nothing of its encoder"),
        ("moonshine_streaming", {}, {"head_dim": 4}, "head_dim is 4, not 8"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(tmp_path, family, tensors, values, match):
    publish(tmp_path, family)
    weights = load_file(tmp_path / "model.safetensors")
    for name, value in tensors.items():
        weights.pop(name, None)
        if value is not None:
            weights[name] = torch.tensor([1.0])
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | values))
    refused(tmp_path, match)


def test_tokens_that_are_missing_or_of_another_kind(tmp_path):
    publish(tmp_path, "moonshine")
    path = tmp_path / "tokenizer.json"
    document = json.loads(path.read_text())
    path.unlink()
    refused(tmp_path, "has no tokens: tokenizer.json is missing")
    path.write_text(json.dumps({**document, "model": {**document["model"], "byte_fallback": False}}))
    refused(tmp_path, "no byte-pair encoding of characters with bytes beside")
    path.write_text(json.dumps({**document, "model": {"type": "BPE", "byte_fallback": True}}))
    refused(tmp_path, "is damaged: it has no list of tokens")


def refused(folder: Path, match: str) -> None:
    with pytest.raises(CheckpointError, match=match) as caught:
        transducer.load(folder)
    assert "\n" not in str(caught.value)
