"""Arithmetic, translation, completion and captioning: what they are learned from, and that each learns something."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import transducer
from pipelines import arithmetic, captioning, completion, translation
from transducer.errors import UsageError
from transducer.training.recipe import Recipe
from transducer.training.run import train

NOWHERE = Path("no such folder")


def trained(recipe: Recipe, run: Path) -> dict[str, float]:
    """What is measured at the end."""
    train(replace(recipe, evaluate_every=0, save_every=0), run)
    return json.loads((run / "log.jsonl").read_text().splitlines()[-1])


@pytest.fixture
def small_numbers(monkeypatch):
    monkeypatch.setattr(arithmetic, "BELOW", 20)
    monkeypatch.setattr(arithmetic, "HELD_OUT", 120)


def test_arithmetic(small_numbers, tmp_path):
    """With few numbers and little time, half of the answers; chance would be one in thirty."""
    recipe = arithmetic.recipe(
        NOWHERE, questions=680, channels=64, layers=1, steps=150, batch_frames=600, learning_rate=4e-3
    )
    assert trained(recipe, tmp_path)["exact:text"] > 0.25
    model = transducer.load(tmp_path / "arithmetic")
    answers = [model.predict(question).text for question in ("7+8", "3-12", "19+1")]
    assert all(answer.lstrip("-").isdigit() for answer in answers)


def test_questions(small_numbers):
    questions = [arithmetic.question(number) for number in range(2 * 20 * 20)]
    assert len(set(questions)) == 800 and all(eval(text) == int(answer) for text, answer in questions)
    held_out, learned = arithmetic.split(680)
    assert not set(held_out) & set(learned) and len(held_out) == 120 and len(learned) == 680
    with pytest.raises(UsageError, match="there are dev and test"):
        arithmetic.recipe(NOWHERE, part="train")


@pytest.mark.parametrize(
    ("number", "korean", "english"),
    [
        (0, "영", "zero"),
        (13, "십삼", "thirteen"),
        (110, "백십", "one hundred ten"),
        (10000, "만", "ten thousand"),
        (120345, "십이만 삼백사십오", "one hundred twenty thousand three hundred forty five"),
        (999999, "구십구만 구천구백구십구", "nine hundred ninety nine thousand nine hundred ninety nine"),
    ],
)
def test_number_words(number, korean, english):
    assert translation.korean_number(number) == korean
    assert translation.english_number(number) == english


def test_dates():
    assert [translation.english_year(year) for year in (1900, 1907, 1984, 2005, 2010, 2099)] == [
        "nineteen hundred", "nineteen oh seven", "nineteen eighty four", "two thousand five", "twenty ten",
        "twenty ninety nine",
    ]  # fmt: skip
    assert [translation.english_ordinal(day) for day in (1, 4, 12, 20, 23)] == [
        "first", "fourth", "twelfth", "twentieth", "twenty third",
    ]  # fmt: skip
    drawn = dict(translation.draw(3000))
    assert len(drawn) == 3000 and len(set(drawn.values())) == 3000, "no two mean the same"
    assert list(drawn.items())[:10] == translation.draw(10)
    assert sum("월" in korean for korean in drawn) == pytest.approx(1500, abs=500)


def test_translation(tmp_path, monkeypatch):
    monkeypatch.setattr(translation, "HELD_OUT", 100)
    recipe = translation.recipe(
        NOWHERE, meanings=2000, channels=48, layers=1, steps=120, batch_frames=500, learning_rate=4e-3
    )
    assert trained(recipe, tmp_path)["error:text"] < 0.6
    model = transducer.load(tmp_path / "translation")
    assert any("가" <= letter <= "힣" for letter in model.predict("six hundred twelve").text)
    assert model.predict("육백십이").text.isascii()
    learned = set(recipe.train.ids)
    assert not learned & set(recipe.dev.ids)


def test_an_ngram_is_a_probability():
    lines = ["he saw the sea", "the sea was calm", "she saw him"]
    ngram = completion.NGram(lines, 4)
    for context in ("^^^", "the", "xyz", " sa"):
        assert sum(ngram.prob(context, character) for character in "abcdefghijklmnopqrstuvwxyz' $") == pytest.approx(1)
    assert ngram.perplexity(lines) < ngram.perplexity(["xylophones jump quickly"])
    assert completion.NGram(["aa"], 1).prob("", "a") == pytest.approx((2 + 2 / 29) / 5)
    one = completion.NGram([], 3).perplexity(["abc"])
    assert one == pytest.approx(29)


def test_lines():
    texts = ["Short.", "It was the best of times -- it was the worst.", "a " * 100]
    assert list(completion.plain_lines(texts, 5)) == ["it was the best of times it was the worst", ("a " * 40).strip()]
    train_lines, measured = completion.texts(NOWHERE, 200, 20, "test")
    others = completion.texts(NOWHERE, 200, 20, "dev")[1]
    assert len(train_lines) == 200 and len(measured) == len(others) == 20
    assert not set(train_lines) & set(measured) and not set(others) & set(measured)


def test_completion(tmp_path):
    """A little training is enough to beat an n-gram that sees two characters."""
    recipe = completion.recipe(
        NOWHERE, lines=400, channels=64, order=3, steps=110, batch_frames=1500, learning_rate=1e-2
    )
    recipe = replace(recipe, dev=completion.pairs(recipe.dev.ids[:100], recipe.units["characters"], "lines"))
    found = trained(recipe, tmp_path)["perplexity:text"]
    assert found < recipe.card["perplexity_of_3_gram"]
    language = transducer.load(tmp_path / "completion").language_model()
    assert language.perplexity(recipe.dev.ids) == pytest.approx(found, rel=0.02)
    assert language.score("the old man").log_prob > language.score("man old the").log_prob
    assert "the doctor " + language.complete("the doctor ")[:1] != "the doctor "


@pytest.mark.parametrize("decoder", ["gru", "transformer"])
def test_captioning(decoder, tmp_path):
    recipe = captioning.recipe(
        NOWHERE, decoder=decoder, channels=48, dropout=0.0, scenes=300, steps=60, batch_scenes=25, learning_rate=4e-3
    )
    cut = recipe.model.frontend.medium().check if decoder == "gru" else captioning.strips
    recipe = replace(recipe, dev=captioning.pairs("test", 60, recipe.units["words"], "scenes", cut))
    assert trained(recipe, tmp_path)["error:text"] < 0.9
    picture, caption = captioning.scene(np.random.default_rng(0), "test")
    shown = picture if decoder == "gru" else captioning.strips(picture)
    said = transducer.load(tmp_path / "captioning").predict(shown).text.split()
    assert said[0] == "a" and {*said, *caption.split()} <= set(recipe.units["words"].tokens)


def test_scenes():
    parts = {part: set(captioning.things(part)) for part in captioning.PARTS}
    assert sum(map(len, parts.values())) == len(set.union(*parts.values())) == 112
    for field, known in enumerate((captioning.SIZES, captioning.COLOURS, captioning.SHAPES)):
        assert {thing[field] for thing in parts["train"]} == set(known), "every word is learned"
    for part, number in itertools.product(("train", "test"), range(40)):
        picture, caption = captioning.scene(np.random.default_rng(number), part)
        assert picture.shape == (32, 64, 3) and picture.dtype == np.uint8
        named = [captioning.Thing(*text.split()[1:]) for text in caption.replace("left of", "above").split(" above ")]
        assert any(thing in parts[part] for thing in named)
        for thing in named:
            colour = np.array(captioning.COLOURS[thing.colour])
            near = (abs(picture.astype(int) - colour).max(axis=-1) < 60).sum()
            assert near > 20
    rows = captioning.strips(picture)
    assert rows.shape == (8, 32, 8, 3) and np.array_equal(np.concatenate(list(rows), axis=1), picture)
    assert not math.isnan(picture.mean())
