"""Files of a checkpoint with damaged bytes, fields or sizes: an error in one line, or what the whole file gives."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transducer.errors import CheckpointError, UsageError
from transducer.search.tokens.lexicon import LexiconSearchConfig
from transducer.search.tokens.word_model import WordModel, WordModelConfig
from transducer.text.english import lexicon as lexicon_file
from transducer.text.english.g2p import GraphemeToPhoneme
from transducer.text.english.lexicon import Lexicon, load_pronunciations, save_pronunciations
from transducer.text.json_file import read_json, write_json
from transducer.text.lm import ngram_train
from transducer.text.lm import sections as sections_file
from transducer.text.lm.ngram import SPECIAL, NGram
from transducer.text.lm.sections import read_sections, write_sections
from transducer.text.tokenizers.characters import Characters
from transducer.text.tokenizers.files import load_tokenizer, save_tokenizer
from transducer.text.tokenizers.labels import Labels
from transducer.text.tokenizers.subwords import Subwords
from transducer.text.tokenizers.symbols import Symbols

PHONES = Symbols(["SIL", "A", "B", "K", "S"], ["SIL"])
SOUNDS = {"ab": [["A", "B"], ["A"]], "ba": [["B", "A"]], "kab": [["K", "A", "B"]], "x": [["K", "S"]]}
UNITS = ("a|A", "b|B", "k|K", "x|K|S", "a", "b")
NGRAM_MAGIC, LEXICON_MAGIC = b"transducer n-gram 1\n", b"transducer lexicon 1\n"


def lm_of(words: tuple[str, ...], seed: int = 0) -> NGram:
    rng = np.random.default_rng(seed)
    corpus = [rng.integers(3, 3 + len(words), 5).astype(np.int32) for _ in range(40)]
    model = ngram_train.kneser_ney(ngram_train.count([corpus], 3 + len(words), 3), 0)
    return ngram_train.export(model, (*SPECIAL, *words))


def word_model(units: str) -> WordModel:
    lm, search = lm_of(tuple(SOUNDS)), LexiconSearchConfig(size=20)
    if units == "phones":
        config = WordModelConfig(units, log_prior=(-1.0, -2.0, -1.5, -3.0, -2.0, -1.0), search=search)
        return WordModel(config, PHONES, lm, Lexicon.pronounced(SOUNDS, PHONES), GraphemeToPhoneme(lm_of(UNITS, 1)))
    letters = Characters("abkx")
    return WordModel(WordModelConfig(units, search=search), letters, lm, Lexicon.spelled(SOUNDS, letters))


def heard(model: WordModel) -> Any:
    """What a model hears in noise, without and with a hotword."""
    rng = np.random.default_rng(0)
    frames = np.log(rng.dirichlet(np.ones(len(model.tokenizer)), 12)).astype(np.float32)
    results = []
    for hotwords in ([], [("kabba", 3.0)]):
        search, spelling = model.search(hotwords)
        best = search.best(search.finish(search.step(search.init(), frames)))
        results.append((spelling.decode(best.tokens), best.score))
    return results


def tokenizer_case(tokenizer: Any, text: str) -> tuple[Callable[[Path], None], Callable[[Path], Any]]:
    def use(folder: Path) -> Any:
        loaded = load_tokenizer(folder)
        return loaded.tokens, loaded.silence, loaded.encode(text), loaded.decode(loaded.encode(text))

    return lambda folder: save_tokenizer(tokenizer, folder), use


def word_model_case(units: str) -> tuple[Callable[[Path], None], Callable[[Path], Any]]:
    model = word_model(units)
    return model.save, lambda folder: heard(WordModel.load(folder, {units: model.tokenizer}))


CASES: dict[str, tuple[Callable[[Path], None], Callable[[Path], Any]]] = {
    "characters": tokenizer_case(Characters("abc"), "ab c"),
    "labels": tokenizer_case(Labels(["left turn", "stop"]), "stop left turn"),
    "symbols": tokenizer_case(PHONES, "SIL A B"),
    "subwords": tokenizer_case(Subwords.train(["the dog that sat on the mat", "a cat and a dog"], 30), "that dog"),
    "phones": word_model_case("phones"),
    "spelling": word_model_case("characters"),
    "pronunciations": (
        lambda folder: save_pronunciations(folder / "lexicon", SOUNDS),
        lambda folder: load_pronunciations(folder / "lexicon"),
    ),
}


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with some flipped, overwritten, cut off, left out, put twice, or numbers in their text replaced."""
    kind, at = rng.integers(7), int(rng.integers(len(data)))
    changed = bytearray(data)
    if kind == 0:
        changed[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        for place in rng.integers(len(data), size=8):
            changed[place] = rng.integers(256)
    elif kind == 2:
        del changed[at:]
    elif kind == 3:
        del changed[at : at + int(rng.integers(1, 20))]
    elif kind == 4:
        changed[at:at] = data[at : at + int(rng.integers(1, 20))]
    elif kind == 5:
        changed += bytes(rng.integers(256, size=3).tolist())
    else:
        digits = [place for place, byte in enumerate(data[:400]) if 48 <= byte < 58] or [at]
        changed[digits[int(rng.integers(len(digits)))]] = 48 + int(rng.integers(10))
    return bytes(changed)


@pytest.mark.parametrize("name", CASES)
def test_damaged_bytes_are_noticed(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save, use = CASES[name]
    save(tmp_path)
    expected, rng, refused = use(tmp_path), np.random.default_rng(1), 0
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        for _ in range(60):
            path.write_bytes(damaged(whole, rng))
            try:
                assert use(tmp_path) == expected
            except CheckpointError as error:
                refused += 1
                assert path.name in str(error) and len(str(error).splitlines()) == 1
        path.write_bytes(whole)
    assert refused > 40
    assert use(tmp_path) == expected
    assert capfd.readouterr() == ("", "")  # libraries don't talk either


# --- files that are whole, with a checksum that is right, and make no sense


ODD = (None, True, -1, 0, 3, 2**40, 10**30, 1.5, float("nan"), float("-inf"), "", "x" * 9, [], [[]], [-1], {}, {"a": 1})


def twisted(document: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """One value at some depth replaced by an odd one, left out, or there twice."""
    document = json.loads(json.dumps(document))
    at: Any = document
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = keys[int(rng.integers(len(keys)))]
        if isinstance(at[key], dict | list) and at[key] and rng.random() < 0.7:
            at = at[key]
            continue
        kind = rng.integers(4)
        if kind == 0:
            del at[key]
        elif kind == 1 and isinstance(at, list):
            at.append(at[key])
        elif kind == 2 and type(at[key]) in (int, float):
            at[key] += int(rng.choice([-1, 1, 255]))
        else:
            at[key] = ODD[int(rng.integers(len(ODD)))]
        return document


def is_refused(use: Callable[[], Any], path: Path) -> bool:
    """Whether a file was; a vocabulary that makes sense may be one that doesn't spell the text. No other error."""
    try:
        use()
    except CheckpointError as error:
        assert path.parent.name in str(error)
        return True
    except UsageError:
        pass
    return False


@pytest.mark.parametrize("name", CASES)
def test_fields_that_make_no_sense_are_refused(name: str, tmp_path: Path) -> None:
    save, use = CASES[name]
    save(tmp_path)
    rng, refused = np.random.default_rng(2), 0
    for path in sorted(tmp_path.glob("*.json")):
        document = read_json(path)
        for _ in range(150):
            write_json(path, twisted(document, rng))
            refused += is_refused(lambda: use(tmp_path), path)
        write_json(path, document)
    assert refused > 50 or not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize(
    ("name", "magic"), [("words.ngram", NGRAM_MAGIC), ("g2p.ngram", NGRAM_MAGIC), ("lexicon.bin", LEXICON_MAGIC)]
)
def test_sections_that_make_no_sense_are_refused(name: str, magic: bytes, tmp_path: Path) -> None:
    save, use = CASES["phones"]
    save(tmp_path)
    path, rng, refused = tmp_path / name, np.random.default_rng(3), 0
    header, sections = read_sections(path, magic, "table")
    del header["sections"]
    for turn in range(200):
        fields, parts = header, list(sections)
        if turn % 4 == 0:
            fields = twisted(header, rng)
        else:
            at = int(rng.integers(len(parts)))
            parts[at] = damaged(parts[at] or b"\0", rng)
        write_sections(path, magic, fields, parts)
        refused += is_refused(lambda: use(tmp_path), path)
    assert refused > 60


def test_what_inflates_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sections_file, lexicon_file):
        monkeypatch.setattr(module, "MOST_BYTES", 1 << 20)
    path = tmp_path / "words.ngram"
    write_sections(path, NGRAM_MAGIC, {"order": 1, "sizes": [3]}, [bytes(1 << 19)] * 3)
    with pytest.raises(CheckpointError, match="more than"):
        NGram.load(path)
    lexicon = tmp_path / "lexicon.bin"
    count = 1 << 14  # of entries with one token, and one with 255: four megabytes in a table
    lengths = np.ones(count, np.uint8)
    lengths[0] = 255
    parts = [np.ones(count, np.uint8).tobytes(), lengths.tobytes(), np.ones(count + 254, np.uint8).tobytes()]
    write_sections(lexicon, LEXICON_MAGIC, {"tokens": list(PHONES.tokens)}, parts)
    with pytest.raises(CheckpointError, match="too many"):
        Lexicon.load(lexicon, [str(k) for k in range(count)], PHONES)


@pytest.mark.parametrize("depth", [10**3, 10**6])
def test_brackets_in_brackets(depth: int, tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    path.write_text("[" * depth + "]" * depth)
    with pytest.raises(CheckpointError, match=r"tokens\.json is damaged"):
        load_tokenizer(tmp_path)
    path.write_text('{"tokens": ' + "[" * depth + "]" * depth + ', "crc32": 1}')
    with pytest.raises(CheckpointError, match=r"tokens\.json is damaged"):
        load_tokenizer(tmp_path)


def test_files_from_before_there_were_checksums_are_read(tmp_path: Path) -> None:
    for name, (save, use) in CASES.items():
        folder = tmp_path / name
        folder.mkdir()
        save(folder)
        expected = use(folder)
        for path in folder.iterdir():
            data = path.read_bytes()
            head, mark, rest = data.partition(b'"crc32":')
            if mark:
                end = rest.index(b"}")
                path.write_bytes(head.rstrip(b", \n") + rest[end:])
        assert use(folder) == expected


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x0a\x00", b"\x12\x00", bytes(100), zlib.compress(b"x" * 1000)])
def test_what_is_no_sentencepiece_model_is_refused_in_silence(
    data: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    CASES["subwords"][0](tmp_path)
    document = read_json(tmp_path / "tokens.json")
    write_json(tmp_path / "tokens.json", {**document, "model_crc32": zlib.crc32(data)})
    (tmp_path / "tokens.model").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"tokens\.model is damaged"):
        load_tokenizer(tmp_path)
    assert capfd.readouterr() == ("", "")
