"""An exported model says what its checkpoint says, and needs no PyTorch."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_models import LETTERS, MODELS, build_network, speech

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import transducer
from transducer.cli import main
from transducer.errors import CheckpointError, UsageError
from transducer.export.folder import export
from transducer.model.checkpoint import save_checkpoint

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("ctc", "ctc, recurrent", "rnnt, stateless", "rnnt, cascaded")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """name -> (checkpoint, exported)."""
    root = tmp_path_factory.mktemp("models")
    found = {}
    for name in NAMES:
        config, seed = MODELS[name]
        plain, exported = (root / f"{name.replace(', ', '-')}{end}" for end in ("", "-onnx"))
        save_checkpoint(plain, build_network(config, seed), config, {"letters": LETTERS})
        assert export(transducer.load(plain), exported).check.difference < 1e-4
        found[name] = plain, exported
    return found


@pytest.fixture
def exported(folders, tmp_path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(folders["ctc"][1], tmp_path / "mine"))


@pytest.mark.parametrize("name", NAMES)
def test_it_says_the_same(name, folders):
    ours, theirs = map(transducer.load, folders[name])
    samples = speech(3)
    for chunk in ours.chunks_ms:
        found = [model.predict(samples, chunk_ms=chunk).text for model in (ours, theirs)]
        assert found[0] == found[1]
    assert ours.info()["latency_ms"] == theirs.info()["latency_ms"]
    assert ours.engine().lookahead == theirs.engine().lookahead


@pytest.mark.parametrize("name", ["ctc", "rnnt, stateless"])
def test_packets_and_neighbours_change_nothing(name, folders):
    """Streams of any packets, many at a time, saved and gone on with, give what a source gives."""
    model = transducer.load(folders[name][1])
    recordings = [speech(seed) for seed in (4, 5, 6)]
    whole = [[segment for segment in model.session(samples) if segment.final] for samples in recordings]
    batch, found = model.batch(3), [[], [], []]
    for number in range(3):
        batch.join(number)
    rng = np.random.default_rng(0)
    places = [0, 0, 0]
    while len(batch):
        for number, samples in enumerate(recordings):
            if places[number] is None:
                continue
            end = places[number] + int(rng.integers(1, 700))
            batch.push(number, samples[places[number] : end])
            places[number] = end if end < len(samples) else None
            if places[number] is None:
                batch.end(number)
        while batch.ready:
            for number, items in batch.step().items():
                found[number] += [item for item in items if item.final]
    assert found == whole
    stream = model.stream()
    results = stream.push(recordings[0][:3000])
    again = model.stream(state=pickle.loads(pickle.dumps(stream.state)))
    results += [*again.push(recordings[0][3000:]), *again.finish()]
    assert [item for item in results if item.final] == whole[0]


def test_bytes_round_each_stream_by_itself(folders, tmp_path):
    """With --int8 numbers are rounded by the largest of a step: of one stream, whoever else is there."""
    plain = transducer.load(folders["rnnt, cascaded"][0])
    export(plain, tmp_path / "small", int8=True, chunks_ms=[320])
    model = transducer.load(tmp_path / "small")
    network = model.engine(search="greedy").network
    rng = np.random.default_rng(1)
    x = rng.normal(0, [[[0.01]], [[0.3]], [[1.0]]], (3, network.block, 1)).astype(np.float32)
    exists = np.ones(x.shape[:2], np.bool_)
    together, _, _ = network.step(x, exists, network.init_state(3))
    for number in range(3):
        rows = slice(number, number + 1)
        alone, _, _ = network.step(x[rows], exists[rows], network.init_state(1))
        np.testing.assert_array_equal(together[rows], alone)


PROGRAM = """
import sys

for name in ("torch", "torchaudio", "onnx", "safetensors", "cv2", "jiwer"):
    sys.modules[name] = None
import numpy as np
import transducer
from transducer.cli import main

print(transducer.load(sys.argv[1]).predict(np.load(sys.argv[2])).text)
sys.exit(main(["info", sys.argv[1], "--json"]))
"""


def test_it_needs_no_torch(folders, tmp_path):
    plain, folder = folders["rnnt, stateless"]
    np.save(tmp_path / "samples.npy", speech(3))
    command = [sys.executable, "-c", PROGRAM, str(folder), str(tmp_path / "samples.npy")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text, facts = done.stdout.splitlines()
    assert text == transducer.load(plain).predict(speech(3)).text
    assert json.loads(facts)["name"] == folder.name


def test_the_file_of_requirements_is_a_part_of_the_package_s(tmp_path):
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = {*project["dependencies"], *project["optional-dependencies"]["onnx"]}
    lines = (ROOT / "requirements-onnx.txt").read_text().splitlines()
    assert not [line for line in lines if line and not line.startswith("#") and line not in known]


def test_a_chunk_that_was_not_exported_is_named(exported):
    with pytest.raises(UsageError, match=r"exported for chunks of 80, 160, 320 ms, not of 40 ms"):
        transducer.load(exported).engine(chunk_ms=40)


def edited(text: str, old: str, new: str) -> str:
    """A document as somebody wrote it by hand: its checksum is gone."""
    document = json.loads(text.replace(old, new))
    document.pop("crc32")
    return json.dumps(document)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("weights.bin", None, r"weights\.bin is missing"),
        ("encoder-4.onnx", None, r"encoder-4\.onnx is missing"),
        ("encoder-4.onnx", lambda data: data[:-100], r"encoder-4\.onnx is damaged"),
        ("weights.bin", lambda data: data[: len(data) // 2], r"weights\.bin is damaged"),
        ("export.json", lambda data: data[:100], r"export\.json"),
        ("export.json", ('"hop"', '"hup"'), r"export\.json is damaged"),
        ("export.json", ('"format": 1', '"format": 9'), "has format 9"),
        ("export.json", ("ctc_searching", "odd_searching"), r"unknown type 'odd_searching'"),
    ],
)
def test_a_damaged_folder_is_one_line(name, change, message, exported):
    path = exported / name
    if change is None:
        path.unlink()
    elif isinstance(change, tuple):
        path.write_text(edited(path.read_text(), *change))
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(CheckpointError, match=message) as caught:
        transducer.load(exported)
    assert "\n" not in str(caught.value)


def test_a_graph_of_another_version_is_one_line(exported):
    import onnx

    path = exported / "encoder-4.onnx"
    model = onnx.load(path, load_external_data=False)
    model.opset_import[0].version = 999
    _replace(exported, path, model.SerializeToString())
    with pytest.raises(CheckpointError, match=r"encoder-4\.onnx cannot be run by this onnxruntime .*export it again"):
        transducer.load(exported).engine(chunk_ms=160)
    model.opset_import[0].version = 20
    model.metadata_props[0].value = json.dumps({"format": 7, "states": []})
    _replace(exported, path, model.SerializeToString())
    with pytest.raises(CheckpointError, match=r"has format 7, this version of transducer runs 1"):
        transducer.load(exported).engine(chunk_ms=160)


def _replace(folder: Path, path: Path, data: bytes) -> None:
    import zlib

    path.write_bytes(data)
    document = json.loads((folder / "export.json").read_text())
    document["files"][path.name] = zlib.crc32(data)
    document.pop("crc32", None)
    (folder / "export.json").write_text(json.dumps(document))


def test_without_onnxruntime_the_extra_is_named(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"needs onnxruntime: pip install"):
        transducer.load(exported)


def test_what_cannot_be_exported_is_one_line(folders, exported, tmp_path):
    with pytest.raises(UsageError, match="is exported already"):
        export(transducer.load(exported), tmp_path / "again")
    with pytest.raises(UsageError, match="no exported model: name another folder"):
        export(transducer.load(folders["ctc"][0]), folders["ctc"][0])
    with pytest.raises(UsageError, match="computes on the CPU"):
        transducer.load(exported, device="cuda")
    with pytest.raises(UsageError, match="needs its checkpoint"):
        transducer.load(exported).network  # noqa: B018


def test_the_command(folders, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["export", str(folders["ctc"][0]), "--output", str(out), "--chunk-ms", "160"]) == 0
    assert "MB; outputs differ by" in capsys.readouterr().out
    assert transducer.load(out).chunks_ms == (160.0,)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
