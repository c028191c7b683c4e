"""Checkpoints: what is written comes back, appears whole or not at all, and says what is wrong with it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
import torch
from checkpoints import edit_config, edit_document, edit_weights, make_format_1
from safetensors.torch import load_file
from tiny_models import LETTERS, MODELS, PLAIN, build_network

import transducer.model.checkpoint as checkpoint
from transducer.errors import CheckpointError, UsageError
from transducer.model.checkpoint import load_checkpoint, read_config, save_checkpoint
from transducer.model.config import DecodingConfig, ModelConfig, from_json, to_json
from transducer.model.network import Network
from transducer.search.events.rules import EventRules
from transducer.text.tokenizers.characters import Characters


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "models" / "tiny"
    save_checkpoint(folder, build_network(PLAIN), PLAIN, {"letters": LETTERS})
    return folder


def line(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert error.value.exit_status == 2
    return text


@pytest.mark.parametrize("name", MODELS)
def test_round_trip(name, tmp_path):
    config, seed = MODELS[name]
    card = {"trained_on": [{"name": "Noise", "hours": 1.5, "type": "noise"}], "type": "a card"}
    config = replace(config, language="en", decoding=DecodingConfig(chunk_ms=80), card=card)
    network = build_network(config, seed)
    save_checkpoint(tmp_path / "model", network, config, {"letters": LETTERS})
    loaded, units = load_checkpoint(tmp_path / "model")
    assert read_config(tmp_path / "model") == loaded.config == config
    assert units["letters"].tokens == LETTERS.tokens
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    for key, value in network.state_dict().items():
        found = loaded.state_dict()[key]
        assert found.dtype == torch.float32 and found.device.type == "cpu"
        expected = value if key.startswith("frontend.") else value.half().float()
        assert torch.equal(found, expected), key


def test_weights_are_float16_on_disk_unless_asked(folder, tmp_path):
    weights = load_file(folder / "model.safetensors")
    kinds = {key: value.dtype for key, value in weights.items()}
    assert all((kind == torch.float32) == key.startswith("frontend.") for key, kind in kinds.items())
    network = build_network(PLAIN)
    save_checkpoint(tmp_path / "exact", network, PLAIN, {"letters": LETTERS}, dtype=torch.float32)
    loaded, _ = load_checkpoint(tmp_path / "exact")
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), loaded.state_dict().values(), strict=True)
    )


def test_loading_draws_no_random_numbers(folder):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    load_checkpoint(folder)
    assert torch.equal(torch.rand(1), expected)


def test_a_new_checkpoint_replaces_the_old_one_and_leaves_nothing_behind(folder):
    save_checkpoint(folder, build_network(PLAIN, seed=1), PLAIN, {"letters": LETTERS})
    loaded, _ = load_checkpoint(folder)
    expected = build_network(PLAIN, seed=1).heads["ctc"].module[0].weight.half().float()
    assert torch.equal(loaded.heads["ctc"].module[0].weight, expected)
    assert os.listdir(folder.parent) == ["tiny"]


@pytest.mark.parametrize("failing", ["save", "save_tokenizer", "replace old", "replace new"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_the_old_one(folder, monkeypatch, failing, error):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    replace_file = os.replace
    calls = []

    def fail(*args):
        raise error

    def failing_replace(source, target):
        if Path(source).is_dir():
            calls.append(source)
            if len(calls) == (1 if failing == "replace old" else 2):
                raise error
        replace_file(source, target)

    if failing.startswith("replace"):
        monkeypatch.setattr(checkpoint.os, "replace", failing_replace)
    else:
        monkeypatch.setattr(checkpoint, failing, fail)
    with pytest.raises(type(error)):
        save_checkpoint(folder, build_network(PLAIN, seed=1), PLAIN, {"letters": LETTERS})
    monkeypatch.undo()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert os.listdir(folder.parent) == ["tiny"]
    load_checkpoint(folder)


def test_an_interrupted_first_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_tokenizer", fail)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(tmp_path / "model", build_network(PLAIN), PLAIN, {"letters": LETTERS})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "units/letters/tokens.json"])
def test_a_missing_file_is_named(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(folder)
    assert missing in line(error)


def test_missing_keys_are_named(folder):
    edit_weights(folder, lambda weights: [weights.pop(key) for key in list(weights) if "conv" in key])
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(folder)
    text = line(error)
    assert "has no encoder.stages.0.conv1.bias, encoder.stages.0.conv1.weight, encoder.stages.0.conv2.bias" in text
    assert "does not belong to its config.json" in text


def test_of_many_keys_the_first_are_named(folder):
    edit_weights(folder, lambda weights: [weights.pop(key) for key in list(weights)[5:]])
    with pytest.raises(CheckpointError, match=r"and \d+ more: it does not belong"):
        load_checkpoint(folder)


def test_unknown_keys_are_named(folder):
    edit_weights(folder, lambda weights: weights.update({"heads.attention.weight": torch.zeros(1)}))
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(folder)
    assert "has unknown heads.attention.weight" in line(error)


def test_wrong_shapes_are_named(folder):
    edit_weights(folder, lambda weights: weights.update({"encoder.stages.0.out.bias": torch.zeros(9)}))
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(folder)
    assert "has other shapes for encoder.stages.0.out.bias" in line(error)


def test_a_renamed_key_is_named_twice(folder):
    edit_weights(folder, lambda weights: weights.update({"head": weights.pop("frontend.mean")}))
    with pytest.raises(CheckpointError, match=re.escape("has no frontend.mean and has unknown head")):
        load_checkpoint(folder)


@pytest.mark.parametrize("damage", [b"", b"\0" * 100, lambda whole: whole[:-100], lambda whole: whole[:20]])
def test_damaged_weights(folder, damage):
    path = folder / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()) if callable(damage) else damage)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(folder)
    assert "model.safetensors is damaged" in line(error)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"format": 2, "model": ' + "9" * 5000 + "}",
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"format": 1}',
        '{"model": {}}',
        '{"format": 2, "model": []}',
        "\ufffd\0",
    ],
)
def test_a_damaged_config(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(folder)
    assert "config.json is damaged" in line(error)


def test_a_config_that_is_no_text(folder):
    (folder / "config.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(folder)


@pytest.mark.parametrize("version", [None, 0, -1, True, 1.5, "1", [], 10**400])
def test_a_format_that_is_none(folder, version):
    edit_document(folder, lambda document: document.update(format=version))
    with pytest.raises(CheckpointError, match=r"is damaged|has format") as error:
        load_checkpoint(folder)
    line(error)


def test_a_newer_format_says_so(folder):
    edit_document(folder, lambda document: document.update(format=99))
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(folder)
    assert "has format 99, this version of transducer reads up to 3: update transducer" in line(error)


def test_an_unknown_part_says_so(folder):
    edit_config(folder, core={"type": "hyena", "channels": 8})
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(folder)
    text = line(error)
    assert "config.json: the config has a part of unknown type 'hyena'" in text and "newer version" in text


def test_an_unknown_field_says_so(folder):
    edit_config(folder, beauty=1)
    with pytest.raises(CheckpointError, match="the config's model has unknown fields beauty"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"units": {}},
        {"core": []},
        {"core": {"type": "conformer", "channels": 7}},
        {"core": {"type": "recurrent", "kind": "qrnn"}},
        {"heads": {"rnnt": {"type": "rnnt", "units": "letters", "predictor": "oracle"}}},
        {"frontend": {"type": "logmel", "hop": 0}},
        {"frontend": {"type": "logmel", "rate": 0}},
        {"frontend": {"type": "logmel", "floor": 0.0}},
        {"core": {"type": "conformer", "channels": 8, "heads": 0}},
        {"core": {"type": "conformer", "channels": 8, "heads": 2, "chunk": 0}},
        {"core": {"type": "conformer", "channels": 8, "heads": 2, "left_context": -4}},
        {"core": {"type": "conformer", "channels": 8, "heads": 2, "kernel": 0}},
        {"core": {"type": "tcn", "channels": 8, "kernel": 0}},
        {"core": {"type": "tcn", "channels": 8, "dilations": [0]}},
        {"heads": {"rnnt": {"type": "rnnt", "units": "letters", "context": 0}}},
        {"heads": {"ctc": {"type": "ctc", "units": "phones"}}},
        {"heads": {"pieces": {"type": "cascaded_rnnt", "units": "letters", "source": "phones"}}},
    ],
)
def test_a_config_of_no_model(folder, change):
    edit_config(folder, **change)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(folder)
    assert "config.json describes a model that cannot be built" in line(error)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"core": None}, "core must be a CoreConfig or a list, got null"),
        ({"core": {"type": "logmel"}}, "core must be a CoreConfig, got 'logmel'"),
        ({"core": {"type": "conformer", "channels": "many"}}, "core.channels must be an integer, got 'many'"),
        ({"core": {"type": "conformer", "channels": True}}, "core.channels must be an integer, got True"),
        ({"core": {"type": "conformer", "dropout": float("nan")}}, "core.dropout must be a number, got nan"),
        ({"core": {"type": "tcn", "dilations": 4}}, "core.dilations must be a list, got 4"),
        ({"core": {"type": ["conformer"]}}, "core must be a part with its type, got a dict"),
        ({"encoder": {"type": "frame_cnn", "grid": [1, 2, 3]}}, "encoder.grid must be 2 values, got a list"),
        ({"encoder": {"type": "frame_cnn", "blocks": [1.5]}}, "encoder.blocks must be an integer, got 1.5"),
        (
            {"frontend": {"type": "frames", "height": 9 * 10**18}},
            "frontend.height must be an integer, got a huge number",
        ),
        ({"heads": {"ctc": {"type": "ctc", "units": 3}}}, "heads.ctc.units must be a text, got 3"),
        ({"heads": []}, "heads must be an object, got a list"),
        ({"units": {"letters": "5"}}, "units.letters must be an integer, got '5'"),
        ({"chunks": 3}, "chunks must be a list, got 3"),
        ({"conditioning": {"type": "self_conditioning", "after": 1}}, "conditioning (self_conditioning) is incomplete"),
        ({"decoding": {"type": "decoding", "chunk_ms": -1}}, "decoding (decoding) makes no sense: a chunk must be"),
        ({"decoding": {"type": "decoding", "serach": "beam"}}, "decoding (decoding) has unknown fields serach"),
        ({"events": {"type": "event_rules", "kind": "scenes"}}, "events (event_rules) makes no sense: unknown kind"),
    ],
)
def test_a_field_of_another_type_is_named(folder, change, message):
    edit_config(folder, **change)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(folder)
    assert f"config.json: the config's {message}" in line(error)


def test_a_wrong_number_of_tokens(folder):
    (folder / "units" / "letters" / "tokens.json").write_text(
        json.dumps({"kind": "characters", "tokens": list(Characters("abcd").tokens)})
    )
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(folder)
    text = line(error)
    assert "has 6 tokens where config.json says 5" in text and str(Path("units") / "letters") in text


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(CheckpointError, match=r"config.json is missing: .* is no checkpoint folder"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("name", MODELS)
def test_configs_go_to_json_and_back(name):
    config, _ = MODELS[name]
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


def test_the_default_model_goes_to_json_and_back():
    config = ModelConfig(units={"characters": 29})
    assert from_json(json.loads(json.dumps(to_json(config)))) == config
    with torch.device("meta"):
        assert 4e6 < sum(parameter.numel() for parameter in Network(config).parameters()) < 6e6


@pytest.mark.parametrize("name", ["speech-en", "shots"])
def test_the_bundled_checkpoints_are_read_whatever_their_format(name):
    """Those of format 1 have decoders, and on their cards what programs read."""
    network, units = load_checkpoint(Path(str(resources.files("transducer"))) / "checkpoints" / name)
    config = network.config
    assert list(network.heads) == list(config.heads) and config.units == {key: len(units[key]) for key in units}
    assert not {"defaults", "events", "languages"} & config.card.keys() and config.card["trained_on"]
    if name == "speech-en":
        assert config.decoding == DecodingConfig(
            "beam", chunk_ms=640, time_shift=-0.06, renew_after=0.64, second_pass="whisper-tiny.en", draft_beam=100
        )
        assert config.language == "en" and config.events is None
    else:
        assert config.decoding == DecodingConfig(fast_decoding=True)
        assert config.events.kind == "transitions" and config.events.high_of("fade") == 0.85


FORMAT_1 = {"description": "a model", "trained_on": [{"name": "Noise"}]}


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ({}, {}),
        ({"defaults": {"search": "beam"}}, {"decoding": DecodingConfig("beam")}),
        ({"defaults": {"chunk_ms": 80, "chunk": 2}}, {"decoding": DecodingConfig(chunk_ms=80.0)}),
        ({"language": "xx"}, {"language": "xx"}),
        ({"languages": ["English"]}, {"language": "en"}),
        ({"languages": ["Dutch", "Frisian"]}, {}),
        ({"events": {"beam": 3}}, {"events": EventRules("sequence", beam=3)}),
    ],
)
def test_format_1_is_read(folder, card, expected):
    make_format_1(folder, {**FORMAT_1, **card})
    network, _ = load_checkpoint(folder)
    found = {name: getattr(network.config, name) for name in ("decoding", "events", "language")}
    assert found == {"decoding": DecodingConfig(), "events": None, "language": ""} | expected
    assert FORMAT_1.items() <= network.config.card.items()
    # Saved again, it is of the newest format.
    save_checkpoint(folder, network, network.config, {"letters": LETTERS})
    assert json.loads((folder / "config.json").read_text())["format"] == 3
    assert load_checkpoint(folder)[0].config == network.config


def test_a_model_without_heads_is_refused(folder):
    edit_config(folder, heads={})
    with pytest.raises(CheckpointError, match="describes a model without heads"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "model",
    [
        None,
        [],
        {"decoders": []},
        {"decoders": {}, "card": {"events": {}}},
        {"type": "model", "card": 3},
        {"card": {"events": 3}},
    ],
)
def test_a_damaged_format_1(folder, model):
    (folder / "config.json").write_text(json.dumps({"format": 1, "model": model}))
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_changed_bit_is_found(folder, name):
    """Where nothing else would tell: in a number that stays one."""
    path = folder / name
    data = path.read_bytes()
    changed = data.replace(b'"look_ahead": 0', b'"look_ahead": 1') if name == "config.json" else data[:-1] + b"\x01"
    assert changed != data
    path.write_bytes(changed)
    with pytest.raises(CheckpointError, match=rf"{name} is damaged.*checksum") as error:
        load_checkpoint(folder)
    line(error)


@pytest.mark.parametrize(
    "change",
    [
        {"core": {"type": "conformer", "channels": 8, "layers": 2**31 - 1}},
        {"core": {"type": "recurrent", "channels": 8, "layers": 2**31 - 1}},
        {"core": {"type": "tcn", "channels": 8, "layers": 2**31 - 1}},
        {"core": {"type": "recurrent", "channels": 2**31 - 1}},
        {"frontend": {"type": "logmel", "window": 2**31 - 1}},
        {"frontend": {"type": "logmel", "rate": 2**31 - 1, "bins": 2**31 - 1}},
        {"frontend": {"type": "frames", "height": 2**31 - 1}, "encoder": {"type": "frame_cnn"}},
        {"frontend": {"type": "frames"}, "encoder": {"type": "frame_cnn", "blocks": 2**31 - 1}},
        {"frontend": {"type": "frames"}, "encoder": {"type": "frame_cnn", "similarity": 2**31 - 1}},
        {"frontend": {"type": "audio_visual", "samples": 16 * 10**7}, "encoder": {"type": "fusion"}},
        {"chunks": [2**31 - 1]},
        {"chunks": []},
        {"units": {"../letters": 5}, "heads": {"ctc": {"type": "ctc", "units": "../letters"}}},
        {"units": {"letters": 2**31 - 1}},
    ],
)
def test_sizes_that_nobody_meant_are_refused_before_anything_is_made_of_them(folder, change):
    edit_config(folder, **change)
    with pytest.raises(CheckpointError, match=r"config\.json") as error:
        load_checkpoint(folder)
    line(error)


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights.update({"encoder.stages.0.out.bias": torch.full((8,), torch.nan)}),
        lambda weights: weights.update({"encoder.stages.0.out.bias:scale": torch.ones(8)}),
        lambda weights: weights.update({"encoder.stages.0.out.weight:scale": torch.ones(10**6)}),
        lambda weights: weights.update({"encoder.stages.0.out.bias": torch.zeros(8, dtype=torch.complex64)}),
    ],
)
def test_weights_that_are_no_numbers_or_no_scales(folder, change):
    edit_weights(folder, change)
    with pytest.raises(CheckpointError, match=r"model\.safetensors") as error:
        load_checkpoint(folder)
    line(error)


def test_a_card_that_is_not_json_is_refused_and_leaves_nothing(tmp_path):
    config = replace(PLAIN, card={"when": object()})
    with pytest.raises(UsageError, match="the card of a model must be JSON data"):
        save_checkpoint(tmp_path / "model", build_network(PLAIN), config, {"letters": LETTERS})
    assert os.listdir(tmp_path) == []


def test_a_device_that_is_not_there(folder):
    with pytest.raises(UsageError, match="the device cuda:99 cannot be used"):
        load_checkpoint(folder, device="cuda:99")
    for device in ("cpu", torch.device("cpu")):
        network, _ = load_checkpoint(folder, device)
        assert all(parameter.is_cpu for parameter in network.parameters())


@pytest.mark.parametrize("name", ["speech-en", "shots"])
def test_loading_imports_no_compiler(name):
    code = f"import sys, transducer\ntransducer.load({name!r})\n"
    code += "found = {'torch._dynamo', 'sympy', 'librosa', 'torchaudio'} & sys.modules.keys()\nassert not found, found"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
