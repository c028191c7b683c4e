import json

import pytest

from transducer.data.manifest import Utterance, read_manifest, write_manifest
from transducer.errors import UsageError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.wav", "b.wav", "sub/a.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def table(folder, content, name="t.tsv"):
    (folder / name).write_text(content, encoding="utf-8")
    return folder / name


def test_tsv(folder):
    path = table(
        folder, "path\tspeaker\tseconds\ttext\troom\na.wav\tann\t1.5\tone two\thall\r\n\nb.wav\tbob\t\tthree\tshed\n"
    )
    assert read_manifest(path) == [
        Utterance("a", folder / "a.wav", 1.5, "one two", "ann", {"room": "hall"}),
        Utterance("b", folder / "b.wav", None, "three", "bob", {"room": "shed"}),
    ]


def test_jsonl_round_trip(folder):
    rows = [
        {"path": "a.wav", "text": "line\u2028end", "seconds": 2, "n": [1]},
        {"id": "x", "path": "b.wav", "text": ""},
    ]
    path = table(folder, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "t.jsonl")
    utterances = read_manifest(path)
    assert [u.id for u in utterances] == ["a", "x"]
    assert utterances[0].text == "line\u2028end" and utterances[0].extra == {"n": [1]}
    write_manifest(folder / "copy.jsonl", utterances)
    assert read_manifest(folder / "copy.jsonl") == utterances
    (folder / "sub" / "deep").mkdir()
    write_manifest(folder / "sub" / "deep" / "far.jsonl", utterances)
    assert read_manifest(folder / "sub" / "deep" / "far.jsonl") == utterances


def test_ids_fall_back_to_paths_where_stems_repeat(folder):
    path = table(folder, "path\ttext\na.wav\tx\nsub/a.wav\ty\n")
    assert [u.id for u in read_manifest(path)] == ["a", "sub/a"]


def test_noise_needs_no_text(folder):
    path = table(folder, "path\tlabel\na.wav\train\n")
    [clip] = read_manifest(path, columns=("path",))
    assert clip.text == "" and clip.extra == {"label": "rain"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.tsv", "path\tlabel\na.wav\tx\n", "line 1: the header has no column 'text'"),
        ("t.tsv", "", "line 1: the header has no column"),
        ("t.tsv", "path\ttext\n", "no rows"),
        ("t.jsonl", "\n", "no rows"),
        ("t.tsv", "path\ttext\na.wav\tx\nmissing.wav\ty\n", "line 3: no such file"),
        ("t.tsv", "path\ttext\na.wav\tx\ty\n", "line 2: 3 columns where the header has 2"),
        ("t.tsv", "path\ttext\tseconds\na.wav\tx\t-1\n", "line 2: '-1' is no duration"),
        ("t.tsv", "path\ttext\tseconds\na.wav\tx\tnan\n", "line 2: 'nan' is no duration"),
        ("t.tsv", "path\ttext\n\tx\n", "line 2: 'path' must be the name of a file"),
        ("t.tsv", "id\tpath\ttext\nk\ta.wav\tx\nk\tb.wav\ty\n", "line 3: id 'k' is already used on line 2"),
        ("t.jsonl", '{"path": "a.wav"}\n', "line 1: the row has no 'text'"),
        ("t.jsonl", '{"path": 3, "text": ""}\n', "line 1: 'path' must be the name of a file"),
        ("t.jsonl", '{"path": "a.wav", "text": "x"}\n{"path"\n', "line 2: not JSON"),
        ("t.jsonl", "[1]\n", "line 1: a row must be a JSON object"),
    ],
)
def test_errors_name_the_table_and_the_line(folder, name, content, message):
    path = table(folder, content, name)
    with pytest.raises(UsageError) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value) and message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_tables(folder):
    with pytest.raises(UsageError, match="No such file"):
        read_manifest(folder / "none.tsv")
    (folder / "binary.tsv").write_bytes(b"\xff\xfe\x00path")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_manifest(folder / "binary.tsv")
