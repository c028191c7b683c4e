"""Whisper by our parts against transformers, from every format that it is published in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import tiny_whisper
import torch
from torch import Tensor

import transducer
from transducer.encoders.whisper import WhisperEncoder
from transducer.heads.segment import SegmentHead
from transducer.model.checkpoint import load_checkpoint, save_checkpoint
from transducer.published.reading import read_published

ROOT = Path(__file__).resolve().parents[2]
T = 2 * tiny_whisper.WINDOW


def head_of(path: Path) -> SegmentHead:
    return read_published(path)[0].heads["segment"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_whisper.hugging_face(tmp_path_factory.mktemp("published") / "tiny")


@pytest.fixture(scope="module")
def theirs(folder):
    transformers = pytest.importorskip("transformers")
    return transformers.WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()


def log_mel(rows: int = 2, steps: int = T) -> Tensor:
    torch.manual_seed(0)
    return 2 * torch.randn(rows, steps, tiny_whisper.BINS) - 4


@torch.no_grad()
def test_parity_with_transformers(folder, theirs):
    """Encoder states and logits of a whole window; token by token; of rows that were padded with silence."""
    head, x = head_of(folder), log_mel()
    mask = torch.arange(T) < torch.tensor([[T], [25]])
    x, mask = head.pad(x, mask)
    features = WhisperEncoder._scaled(x, mask).transpose(1, 2)
    tokens = torch.randint(len(tiny_whisper.TOKENS), (2, 30))
    wanted = theirs(input_features=features, decoder_input_ids=tokens)
    states, exists = head.encode(x, mask)
    assert exists.all()
    torch.testing.assert_close(states, wanted.encoder_last_hidden_state, rtol=0, atol=1e-4)
    memory = head.decoder.attend_to(states, exists)
    torch.testing.assert_close(head.decoder(tokens, memory)[0], wanted.logits, rtol=0, atol=1e-4)
    state, kept = head.decoder.start(memory), None
    for first, last in ((0, 4), (4, 5), (5, 6), (6, 30)):
        part = tokens[:, first:last]
        said, state = head.decoder.extend(part, memory, state, last - first)
        other = theirs(
            encoder_outputs=(wanted.encoder_last_hidden_state,), decoder_input_ids=part, past_key_values=kept
        )
        kept = other.past_key_values
        torch.testing.assert_close(said, other.logits, rtol=0, atol=1e-4)
        torch.testing.assert_close(said, wanted.logits[:, first:last], rtol=0, atol=1e-4)


@torch.no_grad()
def test_attention_for_word_times_is_that_of_transformers(folder, theirs):
    head, x = head_of(folder), log_mel(1)
    mask = torch.ones(1, T, dtype=torch.bool)
    tokens = torch.randint(len(tiny_whisper.TOKENS), (1, 9))
    theirs.set_attn_implementation("eager")
    features = WhisperEncoder._scaled(x, mask).transpose(1, 2)
    wanted = theirs(input_features=features, decoder_input_ids=tokens, output_attentions=True).cross_attentions
    heads = head.config.tokens.alignment_heads
    memory = head.decoder.attend_to(*head.encode(x, mask))
    weights = head.decoder.aligned(tokens, memory, heads)
    assert heads == ((1, 0), (1, 1))
    torch.testing.assert_close(weights[0], torch.stack([wanted[a][0, b] for a, b in heads]), rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_short_segment_costs_no_window(folder):
    """Its states are those of a window in which nothing else exists."""
    head, x = head_of(folder), log_mel(1)
    short, _ = head.encode(x[:, :13], torch.ones(1, 13, dtype=torch.bool))
    whole, exists = head.encode(x, (torch.arange(T) < 13)[None])
    assert short.shape[1] == 7 == exists.sum()
    torch.testing.assert_close(short, whole[:, :7], rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="a segment of this encoder has 40 steps at most: 41"):
        head.encode(log_mel(1, T + 1), torch.ones(1, T + 1, dtype=torch.bool))


FORMATS = ("hugging_face", "parts", "pickled", "inner", "float32", "float16", "bfloat16", "int16", "int8", "openai")


def written(kind: str, folder: Path) -> Path:
    from safetensors.torch import save_file

    if kind == "openai":
        return tiny_whisper.openai(folder / "tiny.pt")
    if kind in ("float32", "float16", "bfloat16", "int16", "int8"):
        return tiny_whisper.ctranslate2(folder, kind)
    tiny_whisper.hugging_face(folder)
    weights = tiny_whisper.weights()
    if kind == "inner":  # without what is around it, and with the output beside the embedding that it is
        weights = {name.removeprefix("model."): tensor for name, tensor in weights.items()}
        save_file(
            {**weights, "proj_out.weight": weights["decoder.embed_tokens.weight"].clone()}, folder / "model.safetensors"
        )
    elif kind == "pickled":
        (folder / "model.safetensors").unlink()
        torch.save(weights, folder / "pytorch_model.bin")
    elif kind == "parts":
        (folder / "model.safetensors").unlink()
        tiny_whisper.write_parts(weights, folder)
    return folder


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_has_the_same_model(kind, folder, tmp_path):
    network, units = read_published(written(kind, tmp_path / "model"))
    wanted, other = read_published(folder)
    assert units["tokens"].tokens == other["tokens"].tokens and units["tokens"].special == other["tokens"].special
    ours, theirs = network.state_dict(), wanted.state_dict()
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        near = {"bfloat16": 2**-8, "int8": 1 / 127, "int16": 1 / 1024}.get(kind, 0.0) * weight.abs().max().item()
        torch.testing.assert_close(ours[name], weight, rtol=0, atol=near)
    head, reference = network.config.heads["segment"], wanted.config.heads["segment"]
    if kind == "openai":  # it says nothing of these
        assert head.tokens.alignment_heads == ()
    else:
        assert head.tokens.alignment_heads == reference.tokens.alignment_heads
    assert head.encoder == reference.encoder and head.decoder == reference.decoder


def test_what_steers_the_decoder(folder):
    network, units = read_published(folder)
    tokens, of = network.config.heads["segment"].tokens, tiny_whisper.TOKENS.index
    assert (tokens.start, tokens.end) == (of("<|startoftranscript|>"), of("<|endoftext|>"))
    assert (tokens.no_speech, tokens.previous) == (of("<|nospeech|>"), of("<|startofprev|>"))
    assert (tokens.timestamp_begin, tokens.no_timestamps) == (of("<|0.00|>"), of("<|notimestamps|>"))
    assert tokens.languages == {"en": of("<|en|>"), "de": of("<|de|>")}
    assert (tokens.transcribe, tokens.translate) == (of("<|transcribe|>"), of("<|translate|>"))
    assert (tokens.suppressed, tokens.suppressed_first) == ((1, 2), (32, tiny_whisper.END))
    assert network.config.language == ""
    assert units["tokens"].decode(units["tokens"].encode(" the other")) == " the other"
    assert units["tokens"].encode(" the")[0] == of("Ġthe")


def test_a_model_of_english_has_no_languages(folder, tmp_path):
    english = tiny_whisper.hugging_face(tmp_path / "en")
    (english / "generation_config.json").unlink()
    config = read_published(english)[0].config
    assert config.language == "en" and config.heads["segment"].tokens.languages == {}
    assert config.heads["segment"].tokens.transcribe is None


def test_saved_as_a_checkpoint_it_is_the_same(folder, tmp_path):
    network, units = read_published(folder)
    save_checkpoint(tmp_path / "ours", network, network.config, units)
    again, tokens = load_checkpoint(tmp_path / "ours")
    assert again.config == network.config and tokens["tokens"].tokens == units["tokens"].tokens
    for name, weight in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight), name


def test_load_takes_what_is_published(folder, tmp_path):
    for path in (folder, tiny_whisper.openai(tmp_path / "small.pt")):
        model = transducer.load(path)
        assert model.name == path.name and model.rate == 16000
        assert isinstance(model.network.heads["segment"], SegmentHead)


def test_loading_imports_no_compiler(folder):
    """Which takes seconds; what is made on the meta device must not need it."""
    program = f"import sys, transducer; transducer.load({str(folder)!r}); sys.exit('torch._dynamo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
