"""Lexicons, pronunciations by rule and by model, and the word model that a checkpoint brings along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from transducer.errors import CheckpointError, UsageError
from transducer.search.tokens.lexicon import LexiconSearchConfig
from transducer.search.tokens.word_model import WordModel, WordModelConfig, read_config
from transducer.text.english.g2p import GraphemeToPhoneme, align, units_of
from transducer.text.english.inflection import derive
from transducer.text.english.lexicon import Lexicon, load_pronunciations, read_cmudict, save_pronunciations
from transducer.text.lm import ngram_train
from transducer.text.lm.ngram import SPECIAL, NGram
from transducer.text.tokenizers.characters import Characters
from transducer.text.tokenizers.symbols import Symbols

# A script that is read letter by letter, but for "sh" and "x".
SOUNDS = {"a": "AA", "b": "B", "d": "D", "i": "IY", "k": "K", "l": "L", "m": "M", "o": "OW", "s": "S", "t": "T"}
PHONES = Symbols([*sorted(SOUNDS.values()), "SH", "Z", "AH", "IH"])


def sound(word: str) -> list[str]:
    phones, i = [], 0
    while i < len(word):
        if word.startswith("sh", i):
            phones.append("SH")
            i += 2
        else:
            phones += ["K", "S"] if word[i] == "x" else [SOUNDS[word[i]]]
            i += 1
    return phones


def some_words(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    syllables = [c + v for c in ("b", "d", "k", "l", "m", "s", "t", "sh", "x") for v in "aio"]
    return ["".join(rng.choice(syllables, rng.integers(1, 5))) for _ in range(count)]


@pytest.fixture(scope="module")
def g2p() -> GraphemeToPhoneme:
    words = sorted(set(some_words(600, 0)))
    entries = [units_of(pairs) for pairs in align(words, [sound(word) for word in words]) if pairs]
    names = (*SPECIAL, *sorted({unit for units in entries for unit in units}))
    encoded = [np.array([names.index(unit) for unit in units], dtype=np.int32) for units in entries]
    model = ngram_train.kneser_ney(ngram_train.count([encoded], len(names), 3), 0)
    return GraphemeToPhoneme(ngram_train.export(model, names))


def test_letters_are_aligned_with_none_one_or_two_phones() -> None:
    words = sorted(set(some_words(300, 1)))
    for word, pairs in zip(words, align(words, [sound(word) for word in words]), strict=True):
        assert pairs is not None
        assert "".join(letter for letter, _ in pairs) == word
        assert [phone for _, phones in pairs for phone in phones] == sound(word)
        assert all(phones == ("K", "S") for letter, phones in pairs if letter == "x")
    assert align(["a", "ab"], [["B", "B", "B"], ["AA", "B"]])[0] is None


def test_unseen_words_are_pronounced(g2p: GraphemeToPhoneme) -> None:
    seen = set(some_words(600, 0))
    unseen = [word for word in some_words(300, 2) if word not in seen]
    right = sum(g2p(word)[0] == sound(word) for word in unseen)
    assert right >= 0.97 * len(unseen) > 50
    assert g2p("") == g2p("?!") == []
    assert g2p("Sho?") == [["SH", "OW"]]
    assert len(g2p("shaxo", variants=2, width=50.0)) == 2


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("cat's", "K AE T S"),
        ("dogs", "D AO G Z"),
        ("dog's", "D AO G Z"),
        ("churches", "CH ER CH AH Z"),
        ("church's", "CH ER CH AH Z"),
        ("ladies", "L EY D IY Z"),
        ("ladies's", "L EY D IY Z AH Z"),
        ("hoped", "HH OW P T"),
        ("planned", "P L AE N D"),
        ("wanted", "W AA N T AH D"),
        ("look'd", "L UH K T"),
        ("favour", "F EY V ER"),
        ("favour's", "F EY V ER Z"),
    ],
)
def test_inflected_forms_are_derived(word: str, expected: str) -> None:
    lexicon = {
        "cat": ["K AE T"], "dog": ["D AO G"], "church": ["CH ER CH"], "lady": ["L EY D IY"], "hope": ["HH OW P"],
        "plan": ["P L AE N"], "want": ["W AA N T"], "look": ["L UH K"], "favor": ["F EY V ER"],
    }  # fmt: skip
    pronunciations = {word: [phones.split() for phones in variants] for word, variants in lexicon.items()}
    assert expected.split() in derive(word, pronunciations)


def test_what_is_no_form_of_a_known_word_is_not_derived() -> None:
    assert derive("bus", {"bu": [["B"]]}) == derive("grass", {"gras": [["G"]]}) == derive("zebra's", {}) == []


def test_cmudict_is_read_without_stress_comments_and_oddities(tmp_path: Path) -> None:
    path = tmp_path / "cmudict.dict"
    path.write_text("read R EH1 D\nread(2) R IY1 D # present\nread(3) R IY0 D\na.m. EY2 EH1 M\ndon't D OW1 N T\n\n")
    assert read_cmudict(path) == {"read": [["R", "EH", "D"], ["R", "IY", "D"]], "don't": [["D", "OW", "N", "T"]]}
    path.write_text("# nothing of the kind\n1 2 3\n")
    with pytest.raises(UsageError, match="has no entries"):
        read_cmudict(path)
    with pytest.raises(UsageError, match="cannot read the pronouncing dictionary"):
        read_cmudict(tmp_path / "none")


def test_lexicons_number_words_from_one_and_can_be_extended() -> None:
    phones = Symbols(["A", "B", "C"])
    lexicon = Lexicon.pronounced({"x": [["A"], ["A", "B"]], "y": [["C", "C", "A"]]}, phones)
    assert lexicon.words == ("x", "y")
    assert lexicon.word.tolist() == [1, 1, 2]
    assert lexicon.tokens.tolist() == [[1, 0, 0], [1, 2, 0], [3, 3, 1]]
    more = lexicon.extended(Lexicon.pronounced({"y": [["A"]], "z": [["B"] * 4]}, phones))
    assert more.words == ("x", "y", "z")
    assert more.variants(1) == [[1], [1, 2]]
    assert more.variants(2) == [[3, 3, 1]]  # its own pronunciation stays
    assert more.variants(3) == [[2, 2, 2, 2]]
    assert more.tokenizer().decode([3, 1]) == "z x"
    with pytest.raises(UsageError, match="'D'"):
        Lexicon.pronounced({"x": [["D"]]}, phones)
    assert Lexicon.spelled(["ab"], Characters("ab")).tokens.tolist() == [[2, 3, 1]]


def test_files_of_pronunciations_keep_them(tmp_path: Path) -> None:
    pronunciations = {"x": [["A"], ["A", "B"]], "y": [["C", "C", "A"]]}
    save_pronunciations(tmp_path / "p", pronunciations)
    assert load_pronunciations(tmp_path / "p") == pronunciations
    phones = Symbols(["A", "B", "C"])
    lexicon = Lexicon.pronounced(pronunciations, phones)
    path = tmp_path / "lexicon.bin"
    lexicon.save(path, phones)
    loaded = Lexicon.load(path, ("x", "y"), phones)
    assert loaded.words == lexicon.words
    np.testing.assert_array_equal(loaded.word, lexicon.word)
    np.testing.assert_array_equal(loaded.tokens, lexicon.tokens)
    with pytest.raises(CheckpointError, match="another model"):
        Lexicon.load(path, ("x", "y"), Symbols(["A", "C", "B"]))
    with pytest.raises(CheckpointError, match="another model"):
        Lexicon.load(path, ("x",), phones)
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(CheckpointError, match=r"lexicon\.bin"):
            Lexicon.load(path, ("x", "y"), phones)


@pytest.fixture(scope="module")
def lm() -> NGram:
    rng = np.random.default_rng(0)
    texts = [rng.choice(["shabi", "shabo", "koxa", "bit", "dola", "ma"], rng.integers(2, 7)) for _ in range(300)]
    names = (*SPECIAL, *sorted({word for text in texts for word in text}))
    encoded = [np.array([names.index(word) for word in text], dtype=np.int32) for text in texts]
    return ngram_train.export(ngram_train.kneser_ney(ngram_train.count([encoded], len(names), 3), 0), names)


@pytest.fixture(params=["phones", "characters"])
def model(request: pytest.FixtureRequest, lm: NGram, g2p: GraphemeToPhoneme) -> WordModel:
    words = lm.words[len(SPECIAL) :]
    search = LexiconSearchConfig(size=64)
    if request.param == "phones":
        config = WordModelConfig("phones", log_prior=tuple(np.linspace(-4, -1, len(PHONES)).tolist()), search=search)
        return WordModel(config, PHONES, lm, Lexicon.pronounced({word: [sound(word)] for word in words}, PHONES), g2p)
    characters = Characters("'abdiklmostxh")
    config = WordModelConfig("characters", lm_weight=0.8, search=search)
    return WordModel(config, characters, lm, Lexicon.spelled(words, characters))


def spoken(model: WordModel, text: str, clarity: float = 6.0) -> np.ndarray:
    """(T, V) log-probabilities of somebody saying this."""
    tokens = []
    for word in text.split():
        if isinstance(model.tokenizer, Characters):
            tokens += model.tokenizer.encode(word + " ")
        else:
            tokens += model.tokenizer.encode(" ".join(sound(word)))
    frames = np.array([token for t in tokens for token in (t, 0)])
    logits = np.random.default_rng(len(text)).normal(size=(len(frames), len(model.tokenizer)))
    logits[np.arange(len(frames)), frames] += clarity
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


def heard(model: WordModel, frames: np.ndarray, hotwords: list[tuple[str, float]] | tuple = ()) -> str:
    search, spelling = model.search(hotwords)
    return spelling.decode(search.best(search.finish(search.step(search.init(), frames))).tokens)


def test_hotwords_bring_in_words_that_the_lexicon_lacks(model: WordModel) -> None:
    text = "bit tobalo koxa ma"
    without = heard(model, spoken(model, text))
    assert without.split()[0] == "bit"
    assert "tobalo" not in without
    # The phones of the last words also follow "tobalo's": phrases, possessives and unknown words in one list.
    hotwords = [("Tobalo", 3.0), ("dola tikosha", 3.0), ("shabi's", 3.0)]
    assert heard(model, spoken(model, text), hotwords) == text
    assert heard(model, spoken(model, "ma dola tikosha bit"), hotwords) == "ma dola tikosha bit"
    for other in ("bit koxa ma", "shabi shabo dola", "ma"):
        assert heard(model, spoken(model, other), hotwords) == heard(model, spoken(model, other)) == other


def test_letters_that_english_lacks_are_said_as_those_in_their_place(model: WordModel) -> None:
    text = "ma tobalo bit"
    for name in ("tøbalo", "Tóbalö"):
        written = name.lower()
        assert heard(model, spoken(model, text), [(name, 8.0)]) == f"ma {written} bit"


def test_hotwords_decide_between_words_that_sound_alike(model: WordModel) -> None:
    frames = spoken(model, "ma shabi bit")
    spelled = isinstance(model.tokenizer, Characters)
    vowel = 2 * 7 if spelled else 2 * 5
    frames[vowel] = -10.0
    for name in "io" if spelled else ("IY", "OW"):
        frames[vowel, model.tokenizer.encode(name)] = np.log(0.5)
    assert heard(model, frames, [("shabo", 4.0)]) == "ma shabo bit"
    assert heard(model, frames, [("shabi", 4.0)]) == "ma shabi bit"


@pytest.mark.parametrize(("text", "weight"), [("", 1.0), ("?!", 1.0), ("bit", float("nan")), ("route66", 1.0)])
def test_hotwords_that_make_no_sense_are_refused(model: WordModel, text: str, weight: float) -> None:
    with pytest.raises(UsageError):
        model.search([(text, weight)])


def test_a_folder_keeps_the_word_model(model: WordModel, tmp_path: Path) -> None:
    model.save(tmp_path / "words")
    loaded = WordModel.load(tmp_path / "words", model.tokenizer)
    assert loaded.config == model.config
    for text in ("bit koxa ma", "shabi shabo dola"):
        assert heard(loaded, spoken(model, text)) == text
    assert loaded.search(beam=5)[0].config.size == 5
    (tmp_path / "words" / "words.json").write_text('{"search": {"colour": 1}}')
    with pytest.raises(CheckpointError, match=r"words\.json"):
        read_config(tmp_path / "words")
    with pytest.raises(CheckpointError, match=r"words\.json"):
        WordModel.load(tmp_path / "nothing", model.tokenizer)


def test_a_lexicon_of_other_words_is_refused(lm: NGram) -> None:
    with pytest.raises(ValueError, match="order"):
        WordModel(WordModelConfig("characters"), Characters(), lm, Lexicon.spelled(["ma"], Characters()))
