"""Tables: what they may look like, what is wrong with them, and which items are held out."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from transducer.data.item import Item
from transducer.data.item_file import read_items, write_items
from transducer.data.rows import KINDS
from transducer.data.table import Table, read_table
from transducer.errors import UsageError


def table(folder: Path, text: str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def lines(folder: Path, *rows: object) -> Path:
    return table(folder, "".join(json.dumps(row) + "\n" for row in rows), "t.jsonl")


def read(path: Path, **options: object) -> Table:
    return read_table(path, check_media=False, **options)


def problem(path: Path, **options: object) -> str:
    """The error's line, which has to begin with the name of the table."""
    with pytest.raises(UsageError) as error:
        read(path, **options)
    text = str(error.value)
    assert text.startswith(str(path)) and "\n" not in text
    return text.removeprefix(str(path)).lstrip(",: ")


# --- what is understood


def test_the_same_events_in_every_form(tmp_path):
    events = [{"start": 0.5, "end": 1, "label": "up"}, {"start": 2, "end": 2.5, "label": "down"}]
    rows = [{"path": "a.mp4", "events": events}, {"path": "b.mp4", "events": []}]
    forms = [
        lines(tmp_path, *rows),
        table(tmp_path, "clip,start,end,label\na.mp4,0.5,1,up\nb.mp4,,,\na.mp4,2,2.5,down\n"),
        table(tmp_path, "Label\tFile\tEnd\tStart\r\nup\ta.mp4\t1\t0.5\r\ndown\ta.mp4\t2.5\t2\r\n\tb.mp4\r\n", "t.tsv"),
        table(tmp_path, '\ufeffpath;label;start;end\n"a.mp4";down;2;2.5\n\na.mp4;up;0.5;1.0\nb.mp4;;;\n', "u.csv"),
    ]
    for form in forms:
        found = read(form)
        assert (found.kind, found.labels) == ("events", ("down", "up"))
        assert {clip.name: [(e.label, e.start, e.end, e.frames) for e in clip.events] for clip in found.items} == {
            "a.mp4": [("up", 0.5, 1, False), ("down", 2, 2.5, False)],
            "b.mp4": [],
        }
        assert {clip.path for clip in found.items} == {tmp_path / "a.mp4", tmp_path / "b.mp4"}


def test_every_kind_of_label(tmp_path):
    assert read(lines(tmp_path, {"path": "a", "labels": ["x", "", "y"]})).items[0].labels == ("x", "", "y")
    assert read(lines(tmp_path, {"path": "a", "label": "left turn"})).labels == ("left turn",)
    for row in ({"path": "a", "words": "bin blue at"}, {"path": "a", "text": ["bin", "blue", "at"]}):
        found = read(lines(tmp_path, row))
        assert found.kind == "text" and found.items[0].words == ("bin", "blue", "at")
    found = read(table(tmp_path, "clip,start_frame,end_frame,label\na,3,5,x\na,6,6,x\nb,2,,x\n"))
    assert [e.frames for clip in found.items for e in clip.events] == [True] * 3 and not found.moments
    assert read(table(tmp_path, "clip,start,label\na,3,x\nb,2.5,x\n")).moments
    assert read(lines(tmp_path, {"path": "a", "label": 3})).labels == ("3",)


def test_declared_labels_keep_their_order_and_others_are_errors(tmp_path):
    path = table(tmp_path, "clip,start,end,label\na,0,1,up\na,1,2,down\nb,0,1,sideways\n")
    assert read(path).labels == ("down", "sideways", "up")
    assert read(path, labels=["up", "down", "sideways", "never"]).labels == ("up", "down", "sideways", "never")
    assert problem(path, labels=["up", "down"]) == "line 4: unknown label 'sideways': there are up, down"
    path = lines(tmp_path, {"path": "a", "labels": ["up"]}, {"path": "b", "labels": ["up", "", "upp"]})
    assert problem(path, labels=["up"]) == "line 2: unknown label 'upp': there are up; did you mean 'up'?"


def test_recordings_and_their_columns(tmp_path):
    path = table(
        tmp_path,
        'path\tspeaker\tseconds\tText\troom\na.wav\tann\t1.5\t"one" two,\thall\r\n\nsub/b.wav\tbob\t\t\tshed\n',
        "t.tsv",
    )
    found = read(path)
    assert found.items == (
        Item("a.wav", "a", tmp_path / "a.wav", 2, 1.5, "ann", '"one" two,', extra={"room": "hall"}),
        Item("sub/b.wav", "b", tmp_path / "sub" / "b.wav", 4, None, "bob", "", extra={"room": "shed"}),
    )
    assert [item.line for item in found.items] == [2, 4] and found.kind == "text"
    assert found.warnings == (f"{path}: not used: room",)
    rows = [{"path": "a.wav", "text": "line\u2028end", "seconds": 2, "n": [1]}, {"id": 7, "path": "b", "text": ""}]
    found = read(table(tmp_path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "t.jsonl"))
    assert [item.id for item in found.items] == ["a", "7"]
    assert found.items[0].text == "line\u2028end" and found.items[0].extra == {"n": [1]}


def test_ids_are_as_short_as_they_can_be(tmp_path):
    def ids(*names: str) -> list[str]:
        return [item.id for item in read(table(tmp_path, "path\n" + "\n".join(names) + "\n")).items]

    assert ids("a.wav", "sub/b.wav") == ["a", "b"]
    assert ids("a.wav", "sub/a.wav") == ["a", "sub/a"]
    assert ids("a.wav", "a.mp3") == ["a.wav", "a.mp3"]
    found = read(table(tmp_path, "id,clip,start,label\n1,a,1,x\n2,a,2,x\n"))  # ids of the events
    assert [(item.id, len(item.events)) for item in found.items] == [("a", 2)]


def test_what_is_needed_decides_what_is_taken(tmp_path):
    path = table(tmp_path, "path\tlabel\ttext\tend\na.wav\train\tit rains\t3\n", "t.tsv")
    [item] = read(path, needs="text").items
    assert (item.kind, item.text, item.label, item.extra) == ("text", "it rains", None, {"label": "rain", "end": "3"})
    path = table(tmp_path, "path\tlabel\na.wav\train\n", "t.tsv")
    assert read(path).items[0].label == "rain"
    assert problem(path, needs="text") == "line 2: a.wav has no text; there are path, label"
    assert problem(path, needs=("events", "labels")) == (
        "line 2: a.wav has no events or labels; there are path, label; did you mean 'label'?"
    )
    path = table(tmp_path, "path\na.wav\n", "t.tsv")
    assert read(path).kind == "" and not read(path).labels
    assert problem(path, needs=KINDS) == "line 2: a.wav has no events or labels or label or text; there are path"
    path = lines(tmp_path, {"path": "a", "transcript": "x", "text": None})
    assert problem(path, needs="text").startswith("line 1: a has no text; there are path, transcript")
    assert problem(table(tmp_path, "pth,text\na,x\n")).endswith("the header has pth, text; did you mean 'path'?")


def test_times_may_be_as_a_clock_shows_them(tmp_path):
    text = "clip,start,end,label\na,00:00:01.64,0:02.5,x\na,1:02.5,1:00:03,x\n"
    assert [(e.start, e.end) for e in read(table(tmp_path, text)).items[0].events] == [(1.64, 2.5), (62.5, 3603.0)]
    assert read(table(tmp_path, 'path,seconds,text\na,"00:01:01,5",x\n')).items[0].seconds == 61.5
    for odd in ("00:00:61", "1:99:00", "00:00:01:12", "1:2:3:4", ":", "a:b"):
        assert problem(table(tmp_path, f"clip,start,label\na,{odd},x\n")).startswith(
            f"line 2: start {odd!r} is no time"
        )


def test_items_are_written_and_read_without_loss(tmp_path):
    rows = [
        [{"path": "sub/a", "text": "x\u2028y", "id": "k", "seconds": 2, "speaker": "ann", "split": "dev", "n": [1]}],
        [{"path": "a", "events": [{"start": 1, "label": "x"}, {"start_frame": 3, "end_frame": 4, "label": "y"}]}],
        [{"path": "a", "labels": ["x", ""]}],
        [{"path": "a", "label": "x"}, {"path": "/b", "label": "y"}],
    ]
    for kind in rows:
        items = read(lines(tmp_path, *kind)).items
        for folder in (tmp_path, tmp_path / "far" / "deep"):
            folder.mkdir(parents=True, exist_ok=True)
            write_items(folder / "items.jsonl", items)
            again = read_items(folder / "items.jsonl")
            assert tuple(again) == items and [item.line for item in again] == [item.line for item in items]


def test_labels_are_counted_and_rare_ones_told(tmp_path):
    text = "clip,start,end,label\n" + "".join(f"a{n},0,1,roll\na{n},1,2,fall\n" for n in range(5)) + "b,0,1,rol\n"
    path = table(tmp_path, text)
    found = read(path)
    assert found.counts() == {"fall": 5, "rol": 1, "roll": 5}
    assert found.rare_labels() == [f"{path}: only one item has the label 'rol' (line 12); did you mean 'roll'?"]
    assert read(path, labels=["fall", "rol", "roll", "hit"]).counts()["hit"] == 0
    found = read(table(tmp_path, "path,words\na,x y x\nb,y\n"))
    assert found.counts() == {"x": 2, "y": 2} and not found.rare_labels()
    near = read(table(tmp_path, "clip,label,lable\na,x,y\nb,x,y\n")).warnings
    assert len(near) == 1 and near[0].endswith("not used: lable; did you mean 'label'?")


# --- what is wrong


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the table has no rows"),
        ("clip,start,end,label\n", "the table has no rows"),
        ("name,start,end,label\na,1,2,x\n", "line 1: no column for the recording or clip, such as 'path'"),
        ("clip,path,label\na,a,x\n", "line 1: 'clip' and 'path' mean the same"),
        ("clip,label,label\na,x,y\n", "line 1: the column 'label' comes twice"),
        ("clip,start,end,label\na,1,2,x,9\n", "line 2: 5 columns, the header has 4"),
        ("clip,start,end,label\n,1,2,x\n", "line 2: the row names no file"),
        ("clip,start,end,label\na,1,2,\n", "line 2: an event has no label"),
        ("clip,start,end,label\na,,2,x\n", "line 2: the event 'x' has no start"),
        ("clip,start,end,label\na,,,x\n", "line 2: the event 'x' has no start"),
        ("clip,start,end,label\na,1,2,x\na,one,2,x\n", "line 3: start 'one' is no number"),
        ("clip,start,end,label\na,1,nan,x\n", "line 2: end 'nan' is no number"),
        ("clip,start,end,label\na,2,1,x\n", "line 2: the event 'x' at second 2 to 1 ends before it has begun"),
        ("clip,start,end,label\na,2,2,x\n", "line 2: the event 'x' at second 2 to 2 ends before it has begun"),
        ("clip,start,end,label\na,-1,1,x\n", "line 2: the event 'x' at second -1 to 1 starts before the clip"),
        ("clip,start_frame,end_frame,label\na,1.5,2,x\n", "line 2: the event 'x' at frame 1.5 to 2 must have whole"),
        ("clip,start_frame,end_frame,label\na,5,4,x\n", "line 2: the event 'x' at frame 5 to 4 ends before"),
        ("clip,start,start_frame,label\na,1,4,x\n", "line 2: the event 'x' has seconds and frames"),
        ("clip,start,end,label\na,1,3,x\nb,1,2,x\na,2,4,y\n", "line 4: the event 'y' at second 2 to 4 overlaps 'x' at"),
        ("clip,start,end,label\na,1,2,x\na,1,2,x\n", "line 3: the event 'x' at second 1 to 2 overlaps 'x' at"),
        ("clip,start,end,label\na,1,9,x\na,2,3,y\na,8,10,z\n", "line 3: the event 'y' at second 2 to 3 overlaps"),
        ("clip,start_frame,end_frame,label\na,1,3,x\na,3,4,x\n", "line 3: the event 'x' at frame 3 to 4 overlaps"),
        ("clip,start,end,label\na,,,\nb,,,\n", "no clip has any label"),
        ("clip,label\na,x\nb,x\na,y\n", "line 4: a is on line 2 already: an item comes once"),
        ("clip,label\na,x\nb,\n", "line 3: b has none of events, labels, label and text, but a on line 2 has label"),
        ("clip,label,text\na,x,y z\n", "line 2: an item has one of events, labels, label and text; a has label and"),
        ("clip,label,split\na,x,holdout\n", "line 2: unknown split 'holdout'"),
        ("clip,start,end,label,split\na,1,2,x,dev\na,3,4,x,train\n", "line 3: a is in the split 'dev' on line 2"),
        ('clip,label\n"a,x\n', "line 2: unexpected end of data; check its quotation marks"),
        ('path,text\n"a",x\n"b",y "z"\n"c"d,x\n', "line 4: ',' expected after '\"'"),
        ("path,text\na,Hello, you\n", "line 2: 3 columns, the header has 2; a cell with the delimiter in it needs"),
        ("path\ttext\na\n", "line 2: 1 columns, the header has 2"),
        ("path,text,seconds\na,x,-1\n", "line 2: seconds -1 is no duration"),
        ("path,text,seconds\na,x,nan\n", "line 2: seconds 'nan' is no number"),
        ("id,path,text\nk,a,x\nk,b,y\n", "line 3: id 'k' is already used on line 2"),
        ("id,path,text\nb,a,x\n,b,y\n", "line 3: id 'b' is already used on line 2"),
    ],
)  # fmt: skip
def test_a_bad_table_is_told_by_its_line(tmp_path, text, message):
    assert problem(table(tmp_path, text)).startswith(message)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["{"], "line 1: not JSON"),
        (['{"path": "a", "label": "x"}', "", "[1]"], "line 3: a line must be a JSON object"),
        (['{"label": "x"}'], "line 1: the row names no file"),
        (['{"path": 3, "label": "x"}'], "line 1: the row names no file"),
        (
            ['{"path": "a"}', '{"path": "b", "label": "x"}'],
            "line 1: a has none of events, labels, label and text, but b on line 2 has label",
        ),
        (['{"path": "a", "text": ["left turn"]}'], "line 1: the word 'left turn' must be one word"),
        (['{"path": "a", "label": {"x": 1}}'], "line 1: label must be a name"),
        (['{"path": "a", "labels": [1, 2]}'], "line 1: labels must be a list of names"),
        (['{"path": "a", "words": 3}'], "line 1: text must be a list of names"),
        (['{"path": "a", "events": {"start": 1}}'], "line 1: events must be a list such as"),
        (['{"path": "a", "events": [{"start": 1, "end": 2}]}'], "line 1: an event has no label"),
        (['{"path": "a", "events": [{"start": true, "label": "x"}]}'], "line 1: start True is no number"),
        (['{"path": "a", "label": "x"}', '{"path": "a", "label": "x"}'], "line 2: a is on line 1 already"),
        (
            ['{"path": "a", "events": [{"start": 1, "label": "x"}]}'] * 2,
            "line 2: a is on line 1 already: an item comes once",
        ),
        (
            ['{"path": "a", "label": "x"}', '{"path": "b", "text": "x"}'],
            "line 2: b has text, but a on line 1 has label",
        ),
    ],
)
def test_bad_json_lines_are_told_by_their_line(tmp_path, rows, message):
    assert problem(table(tmp_path, "\n".join(rows), "t.jsonl")).startswith(message)


def test_tables_that_cannot_be_read(tmp_path):
    assert "cannot read the table: No such file" in problem(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xe4\x00")
    assert "not UTF-8" in problem(tmp_path / "bytes.csv")
    folder = tmp_path / "clips"
    folder.mkdir()
    assert "needs one table (.jsonl, .csv or .tsv), found none" in problem(folder)
    table(folder, "clip,label\na,x\n", "one.csv")
    assert read(folder).path == folder / "one.csv"
    table(folder, "clip,label\na,x\n", "two.csv")
    assert "found one.csv, two.csv" in problem(folder)
    with pytest.raises(UsageError, match=r"one.csv, line 2: no such file: .*clips/a"):
        read_table(folder / "one.csv")
    for name in ("n" * 300 + ".csv", "a\0b.csv"):
        with pytest.raises(UsageError, match=r"cannot read the table: (File name too long|no file can have)"):
            read(folder / name)
    with pytest.raises(UsageError, match="overlaps is 'first': it must be 'refuse' or 'later'"):
        read(folder / "one.csv", overlaps="first")


def test_misspelt_columns_are_told_with_what_they_may_mean(tmp_path):
    for text, message in {
        "clip,start,end,lable\na,1,2,x\n": "line 2: an event has no label; there are path, start, end, lable",
        "clip,strat,end,label\na,1,2,x\n": "line 2: the event 'x' has no start; there are path, strat, end, label",
        "clpi,label\na,x\n": "line 1: no column for the recording or clip, such as 'path' or 'clip'; the header has",
    }.items():
        found = problem(table(tmp_path, text))
        assert found.startswith(message) and "; did you mean '" in found
    found = problem(lines(tmp_path, {"paht": "a", "label": "x"}))
    assert found.startswith("line 1: the row names no file") and found.endswith("are paht, label; did you mean 'paht'?")


# --- training and held-out clips


def test_the_split_is_by_the_table_or_by_a_hash(tmp_path):
    names = [f"clip-{number}.mp4" for number in range(60)]
    rows = [{"path": name, "label": "ab"[number % 2]} for number, name in enumerate(names)]
    train, dev = read(lines(tmp_path, *rows)).parts()
    assert len(dev) == 8 and len(train) == 52  # of 30 of each label, 15 %
    assert {clip.label for clip in dev} == {"a", "b"}
    again = read(lines(tmp_path, *reversed(rows))).parts()[1]
    assert {clip.name for clip in again} == {clip.name for clip in dev}
    more = read(lines(tmp_path, *rows, *({"path": f"new-{n}.mp4", "label": "a"} for n in range(4)))).parts()[1]
    assert len({clip.name for clip in dev} - {clip.name for clip in more}) <= 1

    rows = [{**row, "split": split} for row, split in zip(rows, ["", "train", "val", "dev"] * 15, strict=True)]
    train, dev = read(lines(tmp_path, *rows)).parts()
    assert {clip.name for clip in dev} == {name for number, name in enumerate(names) if number % 4 > 1}
    assert not read(lines(tmp_path, *rows[:2])).parts()[1]
    with pytest.raises(UsageError, match="all items are held out"):
        read(lines(tmp_path, rows[2])).parts()


def test_no_speaker_is_on_both_sides(tmp_path):
    rows = [{"path": f"{n}.wav", "text": "x", "speaker": f"s{n % 12}"} for n in range(120)]
    sources = [{"path": f"{n}.mp4", "label": "ab"[n % 2], "source": f"film-{n % 12}"} for n in range(120)]
    for kind, given in (("speaker", rows), ("source", sources)):
        train, dev = read(lines(tmp_path, *given)).parts(0.2)
        sides = [{item.speaker or item.extra["source"] for item in side} for side in (train, dev)]
        assert not sides[0] & sides[1] and 10 <= len(dev) <= 30, kind
        assert {item.id for item in read(lines(tmp_path, *reversed(given))).parts(0.2)[1]} == {item.id for item in dev}
    train, dev = read(lines(tmp_path, *({**row, "speaker": f"s{n > 40}"} for n, row in enumerate(rows)))).parts()
    assert {len(train), len(dev)} == {41, 79} and len(dev) == 41
    train, dev = read(lines(tmp_path, *({**row, "speaker": "ann"} for row in rows))).parts()
    assert len(dev) == 18
    assert not read(lines(tmp_path, *rows)).parts(0)[1]


def test_a_table_may_come_through_a_pipe(tmp_path):
    text = "path,label\n" + "".join(f"{number}.wav,x\n" for number in range(2000))
    source, sink = os.pipe()

    def write() -> None:
        with os.fdopen(sink, "w") as file:
            file.write(text)

    writer = threading.Thread(target=write)
    writer.start()
    found = read(Path(f"/dev/fd/{source}"))
    writer.join()
    os.close(source)
    assert len(found.items) == 2000
