"""Tables that were not made with care, or with intent: one clear line each, never anything but UsageError."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from transducer.data.item_file import read_items, write_items
from transducer.data.rows import KINDS
from transducer.data.table import read_table
from transducer.errors import UsageError

DIGITS = "9" * 5000
VALUES = [
    *("", " ", "\0", "nan", "inf", "-1", "1e999", DIGITS, "-" + DIGITS, "1.5", "00:00:01.64", "1:02.5"),
    *("é" * 300, "n" * 5000, "../" * 2000 + "a", "/", ".", "..", "a/", "a\\b", "\u2028", "\x85", "\x1c"),
    *('"', "'", '""', "a\tb", "a,b", "a;b", "dev", "train", "x", "a.wav", "~", "http://a/b", "\ufeff", "null"),
    *("99:99:99", "1,5", "\ud7ff", "=1+1", "\ufffd"),
]  # fmt: skip
JSON_VALUES = [
    *(DIGITS, "-" + DIGITS, "1e999", "NaN", "-Infinity", "true", "null", "{}", "[]", "[[]]"),
    *('""', '"\\u0000"', '"\\ud800"'),
    *("1e-400", "0", "[1, 2]", '["a b"]', '[{"start": 1}]', '[{"start": "1:02.5", "label": "x"}]', '{"a": [1]}', '"x"'),
    "[" * 100_000,
    "[" * 100_000 + "]" * 100_000,
    '{"a":' * 100_000 + "1" + "}" * 100_000,
    *(f'[{{"start": {number}, "label": "x"}}]' for number in ("1e999", DIGITS, "NaN", "-1", '"a"', "[1]")),
]  # fmt: skip
TABLES = {
    "speech.tsv": b"path\tspeaker\tseconds\ttext\na.wav\tann\t1.5\tone two\nb.wav\tbob\t2\tthree\nc.wav\t\t\tfour\n",
    "events.csv": b"clip,start,end,label,split\na.wav,0.5,1,up,train\na.wav,2,2.5,down,train\nb.wav,,,,dev\n",
    "moments.csv": b"clip;start_frame;label\na.wav;3;up\nb.wav;4;down\nc.wav;;\n",
    "clips.csv": b'file,label,source\n"a.wav",up,film\nb.wav,"down, left",film\nc.wav,up,other\n',
    "texts.jsonl": b'{"path": "a.wav", "text": "one", "seconds": 2}\n{"path": "b.wav", "words": ["two", "one"]}\n',
    "events.jsonl": b'{"path": "a.wav", "events": [{"start": 1, "end": 2, "label": "x"}]}\n{"path": "b", "events": []}',
    "steps.jsonl": b'{"path": "a.wav", "labels": ["x", "", "y"]}\n{"path": "b.wav", "labels": "x y", "id": 7}\n',
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    for name in ("a.wav", "b.wav", "c.wav"):
        (folder / name).write_bytes(b"")
    return folder


def refused(path: Path, chance: random.Random) -> bool:
    """Read it, and do all that may be done with a table without its media."""
    error = None
    try:
        table = read_table(
            path,
            labels=chance.choice([(), ("up", "down", "x", "y")]),
            overlaps=chance.choice(["refuse", "later"]),
            check_media=chance.random() < 0.3,
            needs=chance.choice([None, None, None, "text", ("events", "labels"), KINDS]),
        )
        assert table.kind in ("", *KINDS) and len({item.id for item in table.items}) == len(table.items) > 0
        assert set(table.counts()) == set(table.labels)
        lines = [*table.warnings, *table.rare_labels()]
        write_items(path.with_name("items.jsonl"), table.items)
        assert tuple(read_items(path.with_name("items.jsonl"))) == table.items
        train, dev = table.parts(chance.choice([0, 0.15, 0.5]))
        assert sorted(item.id for item in (*train, *dev)) == sorted(item.id for item in table.items)
    except UsageError as problem:
        error = problem
        lines = [str(error)]
    for line in lines:
        assert line.isprintable() and len(line) < 1000 and line.startswith(str(path))
        line.encode()
    return error is not None


def mutated(name: str, data: bytes, chance: random.Random) -> bytes:
    """One to three changes: to bytes, lines, cells or values."""
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(data) + 1)
        lines = data.split(b"\n")
        row = chance.randrange(len(lines))
        change = chance.randrange(8)
        if change == 0:
            data = data[:place] + bytes([chance.randrange(256)]) + data[place + chance.randrange(3) :]
        elif change == 1:
            data = data[:place]
        elif change == 2:
            lines.insert(chance.randrange(len(lines)), lines[row])
            data = b"\n".join(lines)
        elif change == 3:
            data = data.replace(b"\n", chance.choice([b"\r\n", b"\r", b"\n\n", b"\n \n"]))
        elif change == 4:
            data = chance.choice([b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"# a comment\n", b"\n\n"]) + data
        elif change == 5:
            mark = next(mark for mark in (b"\t", b";", b",", b"\n") if mark in data or mark == b"\n")
            cells = lines[row].split(mark)
            cells[chance.randrange(len(cells))] = chance.choice(VALUES).encode()
            lines[row] = mark.join(cells)
            data = b"\n".join(lines)
        elif change == 6 and name.endswith(".jsonl"):
            keys = [*KINDS, "path", "id", "seconds", "speaker", "split", "words", "odd"]
            value = chance.choice([*JSON_VALUES, *map(json.dumps, VALUES)])
            added = f'{{"{chance.choice(keys)}": {value}, '.encode()
            lines[row] = lines[row].replace(b"{", added, 1)
            data = b"\n".join(lines)
        else:
            data = data.replace(chance.choice([b"path", b"clip", b"label", b"start", b"text", b"a.wav", b"1"]), b"x", 1)
    return data


@pytest.mark.parametrize("name", TABLES)
def test_nothing_but_a_usage_error_comes_of_any_table(folder: Path, name: str) -> None:
    chance = random.Random(name)
    count = 0
    for _ in range(150):
        path = folder / name
        path.write_bytes(mutated(name, TABLES[name], chance))
        count += refused(path, chance)
    assert 15 < count < 145  # else the changes would be no test


def test_every_hostile_value_in_every_place(folder: Path) -> None:
    chance = random.Random(1)
    for column in (
        "path",
        "id",
        "seconds",
        "speaker",
        "text",
        "label",
        "labels",
        "split",
        "start",
        "end",
        "start_frame",
    ):
        for value in VALUES:
            cell = '"' + value.replace('"', '""') + '"'
            path = folder / "t.csv"
            rest = "" if column == "path" else ",path"
            path.write_text(f"{column}{rest}\n{cell}{rest and ',a.wav'}\n", encoding="utf-8")
            refused(path, chance)
    for key in ("path", "id", "seconds", "speaker", "text", "label", "labels", "events", "split", "start", "other"):
        for value in JSON_VALUES:
            path = folder / "t.jsonl"
            path.write_text(f'{{"path": "a.wav", "{key}": {value}}}\n'.replace('"path": "a.wav", "path"', '"path"'))
            refused(path, chance)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "path,label\n" + "n" * 5000 + ",x\n", "line 2: '/"),
        ("t.csv", 'path,label\n"a\0b",x\n', "this is no table: not UTF-8 text"),
        ("t.jsonl", '{"path": "a\\u0000b", "label": "x"}\n', "line 1: no such file: '/"),
        ("t.jsonl", '{"path": "a", "label": ' + "[" * 100_000 + "\n", "line 1: lists or objects are nested too deep"),
        ("t.jsonl", f'{{"path": "a", "seconds": {DIGITS}}}\n', "line 1: a number has too many digits"),
        ("t.jsonl", '{"path": "a.wav", "seconds": 1e999}\n', "line 1: seconds inf is no number"),
        ("t.jsonl", '{"path": "a.wav", "seconds": NaN}\n', "line 1: seconds nan is no number"),
        ("t.jsonl", '{"path": "a.wav", "label": NaN}\n', "line 1: label must be a name, not nan"),
        ("t.jsonl", '{"path": "a", "label": "\\ud800"}\n', "line 1: half a character"),
        ("t.csv", f"path,seconds\na.wav,{DIGITS}\n", "line 2: seconds '999"),
        ("t.csv", "\ufeff\r\n\r\npath,label\r\n\r\na.wav,x\r\nb.wav,\r\n", "line 6: b.wav has none of"),
        ("t.csv", "lable,path\nx,a.wav\n", "line 2: a.wav has no events or labels or label or text; there are"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(folder: Path, name: str, text: str, message: str) -> None:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(UsageError) as error:
        read_table(path, needs=KINDS if "lable" in text else None)
    said = str(error.value).removeprefix(str(path)).lstrip(",: ")
    assert said.startswith(message) and len(said) < 1000
    assert "lable" not in text or said.endswith("did you mean 'lable'?")


def test_utf_16_is_told(folder: Path) -> None:
    (folder / "t.csv").write_text("path,label\na.wav,x\n", encoding="utf-16")
    with pytest.raises(UsageError, match="is not UTF-8 text but UTF-16: save it as UTF-8"):
        read_table(folder / "t.csv")
