"""The clips in sample_media/ are what their table and README say."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from transducer.media import open_audio

FOLDER = Path(__file__).resolve().parents[3] / "sample_media"
with (FOLDER / "transcripts.tsv").open(newline="", encoding="utf-8") as table:
    CLIPS = list(csv.DictReader(table, delimiter="\t"))


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip["path"])
def test_clip(clip):
    with open_audio(FOLDER / clip["path"]) as reader:
        sound = np.concatenate(list(reader))
    assert reader.warnings == []
    assert len(sound) / 16000 == pytest.approx(float(clip["seconds"]), abs=0.006)
    assert 0.4 < np.abs(sound).max() < 0.65
    assert 1.5 < len(clip["text"].split()) / float(clip["seconds"]) < 4


def test_folder_is_complete_and_small():
    media = {p.name for p in FOLDER.iterdir() if p.suffix not in (".py", ".md", ".tsv", ".json") and p.is_file()}
    assert media == {"shots.mp4", *(clip["path"] for clip in CLIPS)}
    assert all(f"`{name}`" in (FOLDER / "README.md").read_text(encoding="utf-8") for name in media)
    assert sum(p.stat().st_size for p in FOLDER.iterdir() if p.is_file()) < 1_500_000


def test_late_sound_is_preceded_by_silence():
    with open_audio(FOLDER / "late-train.mkv") as reader:
        sound = np.concatenate(list(reader))
    assert np.abs(sound[: int(1.7 * 16000)]).max() < 0.02 < np.abs(sound[: int(2.2 * 16000)]).max()
