"""Real weights: Whisper tiny.en writes what it writes in transformers."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from functools import lru_cache
from operator import itemgetter
from pathlib import Path

import jiwer
import pytest
import tiny_en
import torch

import transducer
from transducer.cli import main
from transducer.encoders.whisper import WhisperEncoder
from transducer.media.audio.reader import read_audio
from transducer.published.model import Names, Published
from transducer.published.whisper import HUGGING_FACE
from transducer.published.whisper_tokens import is_english, special_tokens, whisper_tokenizer

MEDIA = Path(__file__).resolve().parents[2] / "sample_media"
NORMAL = jiwer.Compose([jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.Strip()])


@lru_cache(maxsize=1)
def ours():
    return transducer.load(tiny_en.FOLDER)


@lru_cache(maxsize=1)
def theirs():
    """The same weights under the names that parity on random ones (test_whisper.py) has shown to be right."""
    transformers = pytest.importorskip("transformers")
    names = Names(HUGGING_FACE, "heads.segment.")
    state = ours().network.state_dict()
    tensors = {f"model.{names.published(n)}": w for n, w in state.items() if n.startswith("heads.")}
    tensors["proj_out.weight"] = tensors["model.decoder.embed_tokens.weight"]
    tokens = ours().config.heads["segment"].tokens
    model = transformers.WhisperForConditionalGeneration(
        transformers.WhisperConfig(vocab_size=51864, decoder_start_token_id=tokens.start)
    )
    model.load_state_dict(tensors)
    model.generation_config = transformers.GenerationConfig(
        decoder_start_token_id=tokens.start,
        eos_token_id=tokens.end,
        pad_token_id=tokens.end,
        suppress_tokens=list(tokens.suppressed),
        begin_suppress_tokens=list(tokens.suppressed_first),
        no_timestamps_token_id=tokens.no_timestamps,
        is_multilingual=False,
        max_length=448,
    )
    return model.eval()


def features(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Of a recording, filled up to Whisper's window."""
    model = ours()
    samples = torch.from_numpy(read_audio(path, model.rate))[None, :, None]
    mask = torch.ones(samples.shape[:2], dtype=torch.bool)
    return model.network.heads["segment"].pad(*model.network.frontend(samples, mask))


@torch.inference_mode()
def greedy(x: torch.Tensor, mask: torch.Tensor) -> list[int]:
    head = ours().network.heads["segment"]
    tokens, decoder = head.config.tokens, head.decoder
    memory = decoder.attend_to(*head.encode(x, mask))
    logits, state = decoder.extend(torch.tensor([[tokens.start, tokens.no_timestamps]]), memory, decoder.start(memory))
    written: list[int] = []
    while len(written) < head.config.longest:
        logits[..., list(tokens.suppressed if written else (*tokens.suppressed, *tokens.suppressed_first))] = -torch.inf
        token = int(logits.argmax())
        if token == tokens.end:
            break
        written.append(token)
        logits, state = decoder.extend(torch.tensor([[token]]), memory, state)
    return written


def check(path: Path) -> str:
    x, mask = features(path)
    found = greedy(x, mask)
    scaled = WhisperEncoder._scaled(x, mask).transpose(1, 2)
    with torch.inference_mode():
        wanted = theirs().generate(scaled)[0].tolist()
    tokens = ours().config.heads["segment"].tokens
    assert found == [token for token in wanted if token < tokens.end]
    return ours().units["tokens"].decode(found)


@pytest.mark.parametrize(
    "row", list(csv.DictReader((MEDIA / "transcripts.tsv").open(), delimiter="\t"))[:2], ids=itemgetter("path")
)
def test_sample_media(row):
    text = check(MEDIA / row["path"])
    assert jiwer.wer(NORMAL(row["text"]), NORMAL(text)) < 0.1, text


def test_recordings(shared_data):
    """Readers of LibriSpeech."""
    rows = list(csv.DictReader((shared_data / "speech" / "librispeech-dev.tsv").open(), delimiter="\t"))
    for row in rows[:80:20]:
        assert check(shared_data / "speech" / row["path"])


def test_tokens_that_an_openai_file_does_not_hold():
    """Those of Whisper's code, and what that never writes: the same as in the files that others have made of it."""
    model = ours()
    tokenizer, tokens = model.units["tokens"], model.config.heads["segment"].tokens
    published = Published(Path("tiny.en.pt"), "openai", {}, {}, Path("nowhere"))
    found = whisper_tokenizer(published, 51864)
    renamed = {"<|he|>": "<|iw|>", "<|nospeech|>": "<|nocaptions|>"}
    assert [renamed.get(token, token) for token in found.tokens] == list(tokenizer.tokens)
    steering = special_tokens(found, is_english(published, 51864), published)
    assert steering == replace(tokens, alignment_heads=())
    assert not is_english(published, 51865)
    many = whisper_tokenizer(published, 51866)
    steering = special_tokens(many, False, published)
    assert len(many) == 51866 and len(steering.languages) == 100 and steering.languages["yue"] == 50358
    assert many.encode(" the") == [264] and many.tokens[steering.timestamp_begin :][::1500] == ("<|0.00|>", "<|30.00|>")


def test_info_says_what_streams(capsys):
    assert main(["info", str(tiny_en.FOLDER), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["family"], facts["format"], facts["language"]) == ("Whisper", "ctranslate2", "en")
    assert facts["parameters"] == 37_184_256
    streams = {stage["stage"]: stage["streams"] for stage in facts["stages"]}
    assert streams["front-end"] and not streams["segment encoder"] and not streams["segment decoder"]
