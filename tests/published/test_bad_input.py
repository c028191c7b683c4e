"""Files that are no published model, or not all of one: one clear line each."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import tiny_whisper
import torch
from safetensors.torch import load_file, save_file

import transducer
from transducer.cli import main
from transducer.errors import CheckpointError, TransducerError
from transducer.published.reading import read_published


@pytest.fixture
def folder(tmp_path) -> Path:
    return tiny_whisper.hugging_face(tmp_path / "model")


def refused(path: Path, says: str) -> None:
    with pytest.raises(CheckpointError, match=says) as raised:
        transducer.load(path)
    assert len(str(raised.value).splitlines()) == 1


def change_weights(folder: Path, change) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


def change_json(path: Path, **values) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_another_family(folder, tmp_path):
    change_json(folder / "config.json", model_type="bert")
    refused(folder, "model of the family 'bert', which cannot be run: there are .*whisper")
    other = tiny_whisper.ctranslate2(tmp_path / "other")
    data = (other / "model.bin").read_bytes()
    (other / "model.bin").write_bytes(data.replace(b"WhisperSpec", b"TransfoSpec", 1))
    refused(other, "model of the family 'TransfoSpec'")


def test_missing_and_unknown_weights(folder):
    name = "model.encoder.layers.1.fc1.bias"
    change_weights(folder, lambda weights: weights.pop(name))
    refused(folder, r"lacks encoder\.layers\.1\.fc1\.bias: get it again")


def test_unknown_weights(folder):
    change_weights(folder, lambda weights: weights.update({"model.encoder.adapter.weight": torch.ones(2)}))
    refused(folder, r"has weights that its family does not have: encoder\.adapter\.weight")


def test_more_layers_than_the_config_says(folder):
    change_json(folder / "config.json", decoder_layers=1)
    # Heads of a layer that there is not are found first.
    (folder / "generation_config.json").unlink()
    refused(folder, r"has more weights than its config says: decoder\.layers\.1\..* and \d+ more")


def test_other_shapes(folder):
    change_json(folder / "config.json", encoder_ffn_dim=12)
    refused(folder, r"has other shapes than its config says for encoder\.layers\.0\.fc1\.bias")


@pytest.mark.parametrize("value", [None, "16", 0, 1 << 40])
def test_sizes_that_make_no_sense(folder, value):
    change_json(folder / "config.json", d_model=value)
    refused(folder, "its config has no size 'd_model', or one that makes no sense")


def test_another_computation(folder):
    change_json(folder / "config.json", activation_function="relu")
    refused(folder, "computes otherwise than Whisper")


def test_an_output_of_its_own(folder):
    tokens = len(tiny_whisper.TOKENS)
    change_weights(folder, lambda w: w.update({"proj_out.weight": torch.ones(tokens, tiny_whisper.CHANNELS)}))
    refused(folder, "has an output apart from its embedding")


@pytest.mark.parametrize("kind", ["safetensors", "bin", "pt"])
def test_a_part_of_a_file(kind, tmp_path):
    """Wherever it ends."""
    if kind == "pt":
        path = file = tiny_whisper.openai(tmp_path / "tiny.pt")
    else:
        make = tiny_whisper.ctranslate2 if kind == "bin" else tiny_whisper.hugging_face
        path = make(tmp_path / "model")
        file = path / ("model.bin" if kind == "bin" else "model.safetensors")
    data = file.read_bytes()
    for size in (0, 3, 9, 40, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:size])
        refused(path, "is damaged|is no model of CTranslate2")


def test_a_folder_in_parts_that_lacks_one(folder):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    tiny_whisper.write_parts(weights, folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    refused(folder, r"of its 2 files of weights it lacks model-00002-of-00002\.safetensors")
    change_json(folder / "model.safetensors.index.json", weight_map={"a": "../../elsewhere.safetensors"})
    refused(folder, "of its 1 files of weights it lacks")


def test_no_weights(folder):
    (folder / "model.safetensors").unlink()
    refused(folder, "has no weights: model.safetensors, .* are missing")


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.int8])
def test_numbers_that_are_no_weights_here(folder, dtype):
    name = "model.encoder.conv1.weight"
    change_weights(folder, lambda weights: weights.update({name: weights[name].to(dtype)}))
    kind = str(dtype).removeprefix("torch.")
    refused(folder, rf"has weights in {kind} \({name}\), which cannot be read: take the model in float32")


def test_numbers_that_are_not_finite(folder):
    change_weights(folder, lambda weights: weights["model.encoder.conv1.bias"].fill_(torch.nan))
    refused(folder, r"not finite in model\.encoder\.conv1\.bias")


def test_no_tokens(folder, tmp_path):
    (folder / "tokenizer.json").unlink()
    refused(folder, "has no tokens: tokenizer.json is missing")
    (folder / "tokenizer.json").write_text('{"model": {"type": "BPE"')
    refused(folder, "tokenizer.json is damaged")
    (folder / "tokenizer.json").write_text('{"model": {"type": "WordPiece", "vocab": {"a": 0}}}')
    refused(folder, "no byte-pair encoding of bytes")
    (folder / "tokenizer.json").unlink()
    (folder / "vocabulary.txt").write_text("a\nb\n<|endoftext|>\n")
    refused(folder, "are not Whisper's")


def test_tokens_of_another_model(folder):
    (folder / "tokenizer.json").unlink()
    tokens = [*tiny_whisper.ORDINARY, *(f"<|{number}|>" for number in range(len(tiny_whisper.SPECIAL)))]
    (folder / "vocabulary.json").write_text(json.dumps(tokens))
    refused(folder, r"are not Whisper's: there is no <\|startoftranscript\|>")
    (folder / "vocabulary.json").write_text(json.dumps([*tokens, "more"]))
    refused(folder, "and the file with their spelling")


class Code:
    """What would run if it were loaded."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["tiny.pt", "pytorch_model.bin"])
def test_a_pickle_with_code_in_it(name, folder, tmp_path):
    trap = tmp_path / "run"
    path = tmp_path / name if name.endswith(".pt") else folder
    (folder / "model.safetensors").unlink()
    torch.save({"dims": Code(trap), "model_state_dict": {}}, tmp_path / name if path != folder else folder / name)
    refused(path, "code that loading would run, which is refused")
    assert not trap.exists()
    (path if path.suffix == ".pt" else folder / name).write_bytes(pickle.dumps(Code(trap)))
    refused(path, "code that loading would run, which is refused|is damaged")
    assert not trap.exists()


def test_a_file_that_is_no_whisper(tmp_path):
    torch.save({"weights": torch.ones(2)}, tmp_path / "other.pt")
    refused(tmp_path / "other.pt", "is no file of openai/whisper's")


def test_a_key_with_a_bias(tmp_path):
    """Which CTranslate2 keeps as zeros."""
    folder = tiny_whisper.ctranslate2(tmp_path / "model", "float32")
    variables = tiny_whisper._variables(tiny_whisper.weights())
    variables["encoder/layer_0/self_attention/linear_0/bias"] += 1
    (folder / "model.bin").write_bytes(tiny_whisper._binary(variables, "float32"))
    refused(folder, "has a bias for keys, which Whisper does not have")


def test_the_command_line_says_it_in_one_line(folder, capsys):
    (folder / "tokenizer.json").unlink()
    assert main(["info", str(folder)]) == CheckpointError.exit_status
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("transducer: error: ") and len(err.splitlines()) == 1


def test_bytes_that_changed_never_raise_anything_else(tmp_path):
    """Of a file that has no checksum, what it says may be wrong, but not how that is said."""
    folder = tiny_whisper.ctranslate2(tmp_path / "model", "int8")
    data = bytearray((folder / "model.bin").read_bytes())
    for place in range(0, 400, 7):
        changed = bytearray(data)
        changed[place] ^= 0xFF
        (folder / "model.bin").write_bytes(changed)
        try:
            read_published(folder)
        except TransducerError as error:
            assert len(str(error).splitlines()) == 1
