"""wav2vec 2.0 and HuBERT against transformers, on small models with random weights, and what is wrong with folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import transducer
from transducer.errors import CheckpointError
from transducer.heads.segment import SegmentHead
from transducer.model.checkpoint import save_checkpoint

transformers = pytest.importorskip("transformers")

HOP, REST = 320, 80  # samples of a step, and those after the last step that its output sees
LETTERS = ["<s>", "</s>", "<unk>", "|", *"ETA'"]
SMALL = {
    "vocab_size": len(LETTERS) + 1,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 6,
    "num_conv_pos_embedding_groups": 2,
}
VARIANTS = {
    "wav2vec2 group": ("Wav2Vec2", {}),
    "wav2vec2 layer": ("Wav2Vec2", {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}),
    "hubert": ("Hubert", {"feat_proj_layer_norm": False, "num_conv_pos_embeddings": 5}),
}


def publish(folder: Path, variant: str, pad: int = 0, normalise: bool = False):
    """A folder as people publish them, and transformers' model in it."""
    torch.manual_seed(0)
    kind, more = VARIANTS[variant]
    config = getattr(transformers, f"{kind}Config")(**{**SMALL, **more, "pad_token_id": pad})
    model = getattr(transformers, f"{kind}ForCTC")(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    if variant == "hubert":  # as it was published: with the names of torch before 2.0
        old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
        found = load_file(folder / "model.safetensors")
        for new, before in old.items():
            found = {name.replace(new, before): tensor for name, tensor in found.items()}
        assert "hubert.encoder.pos_conv_embed.conv.weight_g" in found
        save_file(found, folder / "model.safetensors", {"format": "pt"})
    letters = [*LETTERS[:pad], "<pad>", *LETTERS[pad:]]
    (folder / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(letters)}))
    (folder / "added_tokens.json").write_text(json.dumps({"<s>": len(letters), "</s>": len(letters) + 1}))
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": normalise, "sampling_rate": 16000}))
    return model


def segments(*steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Steps of noise with NaN where there are none, (N, T, HOP), and their mask."""
    generator = torch.Generator().manual_seed(1)
    mask = torch.arange(max(steps)) < torch.tensor(steps)[:, None]
    return torch.randn(*mask.shape, HOP, generator=generator).where(mask[..., None], torch.nan), mask


def samples(features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The same as samples (N, L), with the silence that follows here."""
    return torch.nn.functional.pad(torch.where(mask[..., None], features, 0.0).flatten(1), (0, REST))


def run(folder: Path, features: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
    head = transducer.load(folder).network.heads["segment"]
    assert isinstance(head, SegmentHead) and head.decoder is None
    states, exists = head.encode(features, mask)
    assert torch.equal(exists, mask)
    return states, head.ctc(states, exists)[0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_parity_of_full_runs_and_of_padded_rows(tmp_path, variant):
    model = publish(tmp_path, variant)
    features, mask = segments(9, 5, 1)
    states, log_probs = run(tmp_path, features, mask)
    base = getattr(model, model.base_model_prefix)
    for row, length in enumerate(mask.sum(1).tolist()):  # transformers' norm over time hears padding
        alone = samples(features[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(states[row, :length], base(alone).last_hidden_state[0], rtol=0, atol=1e-4)
        logits = model(alone).logits[0]
        torch.testing.assert_close(log_probs[row, :length], logits.log_softmax(-1), rtol=0, atol=1e-4)
    if "layer" in variant:
        lengths = mask.sum(1, keepdim=True) * HOP + REST
        waves = samples(features, mask)
        padded = model(waves, attention_mask=(torch.arange(waves.shape[1]) < lengths).long()).logits
        for row, length in enumerate(mask.sum(1).tolist()):
            theirs = padded[row, :length].log_softmax(-1)
            torch.testing.assert_close(log_probs[row, :length], theirs, rtol=0, atol=1e-4)


def test_samples_are_normalised_as_published_and_the_padding_is_the_blank(tmp_path):
    model = publish(tmp_path, "wav2vec2 layer", pad=5, normalise=True)
    features, mask = segments(7)
    _, log_probs = run(tmp_path, 0.01 * features + 0.2, mask)
    extractor = transformers.Wav2Vec2FeatureExtractor.from_pretrained(tmp_path)
    wave = (0.01 * features + 0.2).flatten().numpy().astype(np.float32)
    normal = torch.tensor(np.asarray(extractor(wave, sampling_rate=16000)["input_values"][0]))[None]
    logits = model(torch.nn.functional.pad(normal, (0, REST))).logits[0].log_softmax(-1)
    order = [5, *range(5), *range(6, len(LETTERS) + 1)]
    torch.testing.assert_close(log_probs[0], logits[:, order], rtol=0, atol=1e-4)
    loaded = transducer.load(tmp_path)
    letters = loaded.units["letters"]
    assert letters.tokens == ("<blank>", *LETTERS) and letters.decode([5, 8, 4, 1, 7]) == "E' A"
    # It can be kept, and trained on, as a checkpoint of the engine's own.
    save_checkpoint(tmp_path / "own", loaded.network, loaded.config, loaded.units, torch.float32)
    assert torch.equal(run(tmp_path / "own", 0.01 * features + 0.2, mask)[1], log_probs)


def change(folder: Path, **tensors: torch.Tensor | None) -> None:
    found = load_file(folder / "model.safetensors") | tensors
    kept = {name: tensor for name, tensor in found.items() if tensor is not None}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def test_what_is_wrong_is_said_in_a_line(tmp_path):
    publish(tmp_path, "wav2vec2 group")
    (tmp_path / "added_tokens.json").unlink()
    config = json.loads((tmp_path / "config.json").read_text())
    vocab = (tmp_path / "vocab.json").read_text()
    weights = (tmp_path / "model.safetensors").read_bytes()

    def refused(match: str) -> None:
        with pytest.raises(CheckpointError, match=match) as caught:
            transducer.load(tmp_path)
        assert "\n" not in str(caught.value)
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "vocab.json").write_text(vocab)
        (tmp_path / "model.safetensors").write_bytes(weights)

    layer = "wav2vec2.encoder.layers.1.layer_norm.bias"
    change(tmp_path, **{layer: None})
    refused(f"lacks {layer}")
    change(tmp_path, **{"wav2vec2.quantizer.codevectors": torch.zeros(2)})
    refused("has weights that its family does not have: wav2vec2.quantizer.codevectors")
    change(tmp_path, **{"lm_head.weight": None})
    refused("has no output for CTC")
    for values, match in (
        ({"adapter_attn_dim": 4}, "a variant of its family that cannot be run: adapter_attn_dim is 4, not None"),
        ({"num_hidden_layers": 3}, "lacks wav2vec2.encoder.layers.2"),
        ({"hidden_size": "16"}, "has no size 'hidden_size'"),
        ({"conv_kernel": [10, 3]}, "describes a model that cannot be built"),
        ({"conv_stride": 5}, "has no sizes 'conv_stride'"),
        ({"feat_extract_norm": "batch"}, "unknown norm 'batch'"),
        ({"vocab_size": 40}, "writes 40 letters, and vocab.json has 9"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config | values))
        refused(match)
    (tmp_path / "vocab.json").unlink()
    refused("vocab.json is missing")
    for letters, match in (
        ({"en": {"a": 0}}, "letters for each of several languages"),
        ({"<pad>": 0, "a": 2}, "is damaged: letters have numbers from 0 on"),
        ({str(number): number for number in range(9)}, "no letter that stands between words"),
        ([1], "vocab.json"),
    ):
        (tmp_path / "vocab.json").write_text(json.dumps(letters))
        refused(match)
    (tmp_path / "model.safetensors").write_bytes(weights[:-10])
    refused("is damaged, or a part of a file")
