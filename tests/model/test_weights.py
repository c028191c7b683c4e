"""Files of weights: any damaged byte is noticed, or does no harm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from transducer.errors import CheckpointError
from transducer.model.weights import checksum, load_weights, save_weights

WEIGHTS = {
    "matrix": torch.arange(12, dtype=torch.int8).view(3, 4),
    "matrix:scale": torch.tensor([0.5, 1.0, 2.0]),
    "half": torch.linspace(-1, 1, 9).half(),
    "brain": torch.linspace(-1, 1, 4).bfloat16(),
    "scalar": torch.tensor(3.0),
    "empty": torch.zeros(0, 4),
}


def same(weights) -> bool:
    return weights.keys() == WEIGHTS.keys() and all(
        weights[name].dtype == value.dtype and torch.equal(weights[name], value) for name, value in WEIGHTS.items()
    )


def test_there_and_back(tmp_path):
    save_weights(tmp_path / "w", WEIGHTS)
    assert same(load_weights(tmp_path / "w"))
    save_file(WEIGHTS, tmp_path / "plain")  # from elsewhere, or from before there were checksums
    assert same(load_weights(tmp_path / "plain"))


def test_every_byte_counts(tmp_path):
    path = tmp_path / "w"
    save_weights(path, WEIGHTS)
    whole, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    damaged = [whole[:size] for size in range(0, len(whole), 29)]
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(changed))
    for data in damaged:
        path.write_bytes(data)
        try:
            assert same(load_weights(path))  # spaces, and the name of the checksum itself
        except CheckpointError as error:
            assert "w is damaged" in str(error) and len(str(error).splitlines()) == 1
            refused += 1
    assert refused > 0.9 * len(damaged)
    with pytest.raises(CheckpointError, match="none is missing"):
        load_weights(tmp_path / "none")


def test_a_checksum_is_of_names_types_shapes_and_numbers():
    sums = {
        checksum({"a": torch.zeros(4)}),
        checksum({"b": torch.zeros(4)}),
        checksum({"a": torch.zeros(2, 2)}),
        checksum({"a": torch.zeros(4, dtype=torch.int32)}),
        checksum({"a": torch.tensor([0.0, 0, 0, 1])}),
    }
    assert len(sums) == 5
    assert checksum({"a": torch.ones(2), "b": torch.ones(3)}) == checksum({"b": torch.ones(3), "a": torch.ones(2)})
