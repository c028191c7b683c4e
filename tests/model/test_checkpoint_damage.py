"""Checkpoints damaged at random: each is loaded, or refused in one line by a CheckpointError, and nothing else."""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import edit_document, edit_weights, make_format_1
from tiny_models import LETTERS, MODELS, build_network

from transducer.errors import CheckpointError
from transducer.model.checkpoint import load_checkpoint, save_checkpoint
from transducer.model.sequence import Serial

EACH = 40  # damaged checkpoints of each kind
VALUES = (
    *(None, True, False, 0, 1, -1, 3, 7, 2**15, 2**31 - 1, 2**31, -(2**31), 2**63, 9 * 10**18, 10**400),
    *(0.0, 0.5, -0.5, 1e-320, 1e308, float("nan"), float("inf"), "", "ctc", "\x00", "x" * 10_000, "../..", [], [1], {}),
    *(
        [[]],
        {"type": "ctc"},
        {"type": "model"},
        {"type": None},
        {"": {}},
        [None] * 100,
        {"type": "conformer", "layers": 9},
    ),
)


CARD = {"defaults": {"search": "beam"}, "events": {"kind": "sequence"}, "languages": ["English"], "trained_on": []}


@pytest.fixture(scope="module", params=[1, 2])
def sound(tmp_path_factory, request) -> Path:
    """A checkpoint of a cascaded head, of an older format and of the newest."""
    config, seed = MODELS["rnnt, cascaded"]
    folder = tmp_path_factory.mktemp("sound") / "model"
    save_checkpoint(folder, build_network(config, seed), config, {"letters": LETTERS}, dtype=torch.int8)
    if request.param == 1:
        make_format_1(folder, CARD)
    return folder


def places(document: Any, path: tuple = ()) -> list[tuple]:
    """The paths to everything inside a JSON document."""
    inside = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [found for key, value in inside for found in ((*path, key), *places(value, (*path, key)))]


def damage_document(folder: Path, rng: random.Random) -> None:
    """Put other values into config.json, take some away, or give them other names."""

    def change(document: dict[str, Any]) -> None:
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            *way, key = rng.choice(places(document))
            parent = document
            for step in way:
                parent = parent[step]
            kind = rng.choice(("value", "value", "value", "gone", "name", "copy"))
            if kind == "gone":
                del parent[key]
            elif kind == "name" and isinstance(parent, dict):
                parent[rng.choice(("", "type", "x" * 50, key.upper()))] = parent.pop(key)
            elif kind == "copy":
                *there, last = rng.choice(places(document))
                other = document
                for step in there:
                    other = other[step]
                parent[key] = copy.deepcopy(other[last])
            else:
                parent[key] = copy.deepcopy(rng.choice(VALUES))

    edit_document(folder, change)


def damage_weights(folder: Path, rng: random.Random) -> None:
    """Weights of another shape, type or name, or that are no numbers."""

    def change(weights: dict[str, torch.Tensor]) -> None:
        name = rng.choice(sorted(weights))
        weight = weights[name]
        kinds = (
            torch.int64,
            torch.bool,
            torch.complex64,
            torch.float64,
            torch.bfloat16,
            torch.uint8,
            torch.float8_e5m2,
        )
        weights[name] = rng.choice(
            (
                weight[:0],
                weight[..., None],
                torch.cat([weight, weight]),
                weight.float() * torch.nan,
                weight.float() + 1e38 * 10,
                weight.to(rng.choice(kinds)),
                torch.zeros(()),
            )
        ).contiguous()
        if rng.random() < 0.3:
            weights[rng.choice(("", name + ":scale", "heads.x", name.upper()))] = weights.pop(name)

    edit_weights(folder, change)


def damage_bytes(folder: Path, rng: random.Random) -> None:
    """Bytes changed, cut off, put in or doubled, in any file; half of the time where no checksum tells."""
    if rng.random() < 0.5:
        edit_document(folder, lambda document: None)
    path = rng.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    data = bytearray(path.read_bytes())
    place = rng.choice((0, rng.randrange(min(200, len(data))), rng.randrange(len(data))))
    size = rng.choice((1, 1, 8, 100, len(data)))
    kind = rng.choice(("bits", "noise", "cut", "gone", "twice", "zeros", "file"))
    if kind == "bits":
        data[place] ^= 1 << rng.randrange(8)
    elif kind == "noise":
        data[place : place + size] = rng.randbytes(size)
    elif kind == "cut":
        del data[place:]
    elif kind == "gone":
        del data[place : place + size]
    elif kind == "twice":
        data[place:place] = data[place : place + size]
    elif kind == "zeros":
        data[place : place + size] = bytes(size)
    if kind == "file":
        path.unlink()
        if rng.random() < 0.5:
            path.mkdir()
    else:
        path.write_bytes(data)


@pytest.mark.parametrize("damage", [damage_document, damage_weights, damage_bytes])
def test_damage_is_refused_in_one_line(sound, tmp_path, damage: Callable[[Path, random.Random], None]):
    refused = 0
    for seed in range(EACH):
        folder = tmp_path / str(seed)
        shutil.copytree(sound, folder)
        damage(folder, random.Random(seed))
        try:
            network, units = load_checkpoint(folder)
        except CheckpointError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000, (seed, str(error))
            refused += 1
            continue
        # What is loaded can be used.
        stages = Serial(network.frontend, network.encoder, next(iter(network.heads.values())))
        if stages.block * stages.stride < 10**6:
            x = torch.zeros(1, stages.block, 1)
            y, _, _ = stages.step(x, torch.ones(1, stages.block, dtype=torch.bool), stages.init_state(1, x))
            assert y.isfinite().all(), seed
        assert set(units) == set(network.config.units), seed
    assert refused > EACH / 3


def test_deep_and_long_documents(sound, tmp_path):
    folder = tmp_path / "model"
    for text in (
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"format": ' + "1" * 5000 + "}",
        '{"model": ' + "[" * 990 + "]" * 990,
    ):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(sound, folder)
        (folder / "config.json").write_text(text)
        with pytest.raises(CheckpointError, match=r"config\.json is damaged"):
            load_checkpoint(folder)
    for inside in ("[" * 500 + "]" * 500, '{"type":' * 500 + "1" + "}" * 500):
        shutil.copytree(sound, folder, dirs_exist_ok=True)
        edit_document(folder, lambda document, inside=inside: document["model"].update(core=json.loads(inside)))
        with pytest.raises(CheckpointError, match=r"config\.json: the config"):
            load_checkpoint(folder)
