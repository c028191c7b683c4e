"""Tags of words, intents of utterances and labels of images: each learned small, and what they are learned from."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

import transducer
from pipelines import image_labels, intent, part_of_speech
from transducer.errors import UsageError
from transducer.media.video.opencv import load_opencv
from transducer.training.command import train_command
from transducer.training.recipe_file import load_recipe

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"


def trained(name: str, run: Path, *settings: str) -> float:
    """The accuracy on what was held out."""
    assert train_command(str(PIPELINES / f"{name}.py"), data=".", output=str(run), settings=settings) == 0
    measured = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    return next(value for key, value in measured.items() if key.startswith("accuracy:"))


def test_tags_need_context(tmp_path):
    small = ("sentences=1000", "held_out=100", "channels=32", "batch_frames=600", "learning_rate=0.006", "warmup=10")
    small = (*small, "evaluate_every=0", "steps=90")
    found = trained("part_of_speech", tmp_path / "tcn", *small)
    alone = trained("part_of_speech", tmp_path / "alone", *small, "core=independent")
    assert found > 0.92 and alone < 0.9 and found > alone + 0.05
    model = transducer.load(tmp_path / "tcn" / "tags")
    tags = [event.label for event in model.label("the old child will walk to the garden .").events]
    assert tags[0] == "DET" and tags[2] == "NOUN" and tags[-1] == "PUNCT" and len(tags) == 9


def test_the_grammar():
    sentences = part_of_speech.make(400, seed=1)
    words = {word for word, _ in part_of_speech.lexicon()}
    tags = defaultdict(set)
    for word, tag in part_of_speech.lexicon():
        tags[word].add(tag)
    assert len(set(sentences)) == 400 and part_of_speech.make(5, seed=1) == sentences[:5]
    said = [pair for sentence in sentences for pair in sentence]
    assert all(word in words and tag in tags[word] for word, tag in said)
    assert {tag for _, tag in said} == set(part_of_speech.TAGS)
    assert sum(len(tags[word]) > 1 for word, _ in said) > 0.4 * len(said), "most words can be several things"
    assert tags["can"] == {"NOUN", "AUX"} and tags["that"] == {"DET", "PRON", "SCONJ"}
    known = set(sentences)
    assert not known & set(part_of_speech.make(100, seed=1, known=known))
    assert part_of_speech.plural("watch") == "watches" and part_of_speech.plural("child") == "children"


def test_intents(tmp_path):
    found = trained(
        "intent",
        tmp_path / "run",
        "steps=50",
        "utterances=1000",
        "held_out=200",
        "batch_frames=500",
        "learning_rate=0.01",
    )
    assert found > 0.85
    model = transducer.load(tmp_path / "run" / "intents")
    assert model.label("please wake me up at seven").segments[0].label == "alarm"
    assert model.label("hey turn on the lights in the laundry").segments[0].label == "lights on"


def test_the_slots_of_the_parts_are_apart():
    for values in intent.SLOTS.values():
        train, dev, test = (set(part.split("|")) for part in values)
        assert train and dev and test and not (train & dev or train & test or dev & test)
    said = {part: intent.make(300, part) for part in intent.PARTS}
    assert {label for _, label in said["test"]} == set(intent.INTENTS)
    assert said["dev"] == intent.make(300, "dev") != said["test"]
    slots = intent.SLOTS["title"][2].split("|")
    assert any(slot in text for text, _ in said["test"] for slot in slots)
    assert not any(slot in text for text, _ in said["train"] for slot in slots)
    assert all("{" not in text and "  " not in text and text == text.strip() for text, _ in said["train"])


def test_shapes(tmp_path):
    small = ("images=shapes", "held_out=200", "steps=140", "evaluate_every=0")
    assert trained("image_labels", tmp_path / "run", *small) > 0.6
    model = transducer.load(tmp_path / "run" / "labels")
    picture = np.full((40, 40, 3), 30, np.uint8)
    load_opencv().circle(picture, (20, 20), 12, (240, 200, 60), -1)
    path = tmp_path / "circle.png"
    load_opencv().imwrite(str(path), picture)
    found = model.label(path)
    assert found.kind == "clip" and found.frames == 1 and found.segments[0].label == "circle"


def test_shapes_are_what_they_are_called():
    """How much of a circle around it a shape covers, whatever its size and turn."""
    rng = np.random.default_rng(0)
    for name, least, most in (
        ("square", 0.6, 0.67),
        ("triangle", 0.39, 0.43),
        ("star", 0.3, 0.4),
        ("cross", 0.59, 0.6),
    ):
        x, y = image_labels.corners(name, rng.uniform(0, 6)).T
        area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2 / np.pi
        assert least < area < most and np.hypot(x, y).max() == pytest.approx(1), name
    pictures, names = image_labels.shapes("train", 60)
    assert pictures.shape == (60, 32, 32, 3) and set(names) == set(image_labels.SHAPES)
    assert not np.array_equal(pictures, image_labels.shapes("test", 60)[0])


def test_digits(tmp_path):
    pytest.importorskip("sklearn")
    assert trained("image_labels", tmp_path / "run", "steps=60", "held_out=100", "evaluate_every=0") > 0.8
    parts = [image_labels.digits(part, 4000) for part in image_labels.PARTS]
    assert sum(len(labels) for _, labels in parts) == 1797 and len(parts[2][1]) > 280
    flat = [{picture.tobytes() for picture in pictures} for pictures, _ in parts]
    assert not (flat[0] & flat[1] or flat[0] & flat[2] or flat[1] & flat[2])


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("part_of_speech", "core=hmm", "there are tcn, gru, independent"),
        ("part_of_speech", "part=train", "there are dev and test"),
        ("intent", "part=all", "there are dev and test"),
        ("image_labels", "images=cats", "there are digits and shapes, dev and test"),
    ],
)
def test_settings_that_make_no_sense(name, setting, message):
    with pytest.raises(UsageError, match=message):
        load_recipe(str(PIPELINES / f"{name}.py"), Path("."), True, (setting,))
