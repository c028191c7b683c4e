"""Pictures as sequences of patches: the medium, and the embedding that knows where a patch was."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from transducer.encoders.patch_embedding import PatchEmbedding, PatchEmbeddingConfig
from transducer.errors import UsageError
from transducer.frontends.patches import PatchesConfig

CONFIG = PatchesConfig(8, 12, 4)


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (8, 12, 3)).astype(np.uint8)


def test_patches_are_cut_row_by_row(picture):
    medium = CONFIG.medium()
    found = medium.check(picture).reshape(6, 4, 4, 3)
    assert medium.count == 6 and medium.channels == 48
    for number, patch in enumerate(found):
        row, column = 4 * (number // 3), 4 * (number % 3)
        assert np.array_equal(patch, picture[row : row + 4, column : column + 4])
    assert np.array_equal(medium.check([picture, picture[::-1]])[:6], found.reshape(6, 48))


@pytest.mark.parametrize("block", [None, 1, 4])
def test_a_file_gives_the_patches_of_its_pixels(picture, tmp_path, block):
    cv2.imwrite(str(tmp_path / "a.png"), picture[..., ::-1])
    with CONFIG.medium().open(tmp_path / "a.png", block=block) as reader:
        blocks = [part.inputs for part in reader]
    assert np.array_equal(np.concatenate(blocks), CONFIG.medium().check(picture))
    assert block is None or max(map(len, blocks)) <= block


def test_pictures_that_cannot_be_cut():
    with pytest.raises(UsageError, match="8 x 10 pixels cannot be cut into patches of 4 a side"):
        PatchesConfig(8, 10, 4)


@pytest.mark.parametrize("config", [PatchEmbeddingConfig(), PatchEmbeddingConfig((4, 6, 6), (2, 2, 1))])
def test_an_embedding_knows_places_and_pictures(config, picture):
    """A second picture is embedded as the first; the same patch is another one elsewhere."""
    torch.manual_seed(0)
    stage = config.build(CONFIG.build(), 8).eval()
    x = torch.from_numpy(CONFIG.medium().check([picture, picture])).float()[None] / 255
    y, _ = stage(x, torch.ones(x.shape[:2], dtype=torch.bool))
    torch.testing.assert_close(y[:, :6], y[:, 6:])
    grey, _ = stage(torch.zeros(1, 6, 48), torch.ones(1, 6, dtype=torch.bool))
    assert len({tuple(row) for row in grey[0].tolist()}) == 6


def test_convolutions_see_the_whole_picture_in_its_order(picture):
    """The cells are those of the picture that was never cut."""
    stage = PatchEmbeddingConfig((4, 6, 6), (2, 2, 1)).build(CONFIG.build(), 8).eval()
    assert isinstance(stage, PatchEmbedding) and stage.convs is not None
    pixels = torch.from_numpy(picture).float().permute(2, 0, 1)[None] / 127.5 - 1
    whole = stage.out(stage.convs(pixels).flatten(2).transpose(1, 2))
    x = torch.from_numpy(CONFIG.medium().check(picture))[None]
    found, _ = stage(*CONFIG.build()(x, torch.ones(x.shape[:2], dtype=torch.bool)))
    places = (stage.rows + stage.columns).flatten(0, 1)
    torch.testing.assert_close(found, stage.norm(whole) + places)


@pytest.mark.parametrize("config", [PatchEmbeddingConfig((4, 6)), PatchEmbeddingConfig((4,), (2,))])
def test_strides_must_make_a_cell_of_a_patch(config):
    patches = PatchesConfig(8, 8, 2 if len(config.widths) == 2 else 4).build()
    with pytest.raises(ValueError, match="their product must be the patch of"):
        config.build(patches, 8)
