"""A model against a table: what is asked of the model, what is measured, and what people are warned of."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_model import FakeModel

from transducer.data.fingerprint import MOST, file_hash, trained_items, trained_on
from transducer.data.item import Item
from transducer.errors import MediaError, UsageError
from transducer.evaluation.evaluator import Evaluator
from transducer.results import Event, Labelling, Scene

FPS, FRAMES = 10, 20


@pytest.fixture
def table(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "one.txt").write_text("hello there\nyou\n")
    (folder / "two.txt").write_text("no\n")
    path = tmp_path / "table.tsv"
    path.write_text('speaker\tpath\ttext\r\n7\tclips/one.txt\t"Hello" there, you\r\n8\tclips/two.txt\tno way\r\n')
    return path


class Labels:
    """A model that finds the same events in every clip: name -> (first frame, last frame)."""

    name = "fake"

    def __init__(self, kind: str, *events: tuple[str, int, int], labels: tuple[str, ...] = ("", "x", "y")):
        self.kind, self.labels, self.card = kind, labels, {}
        self.found = tuple(Event(label, a / FPS, (b + 1) / FPS, a, b, 1.0) for label, a, b in events)
        self.asked: list[Path] = []

    @property
    def config(self) -> SimpleNamespace:
        return SimpleNamespace(card=self.card)

    def info(self) -> dict[str, object]:
        return {"name": self.name, "events_kind": self.kind, "labels": list(self.labels[1:])}

    def label(self, path: Path, frames: bool) -> Labelling:
        assert frames
        self.asked.append(path)
        scenes = (Scene("x", 0, FRAMES / FPS, 0, FRAMES - 1, 1.0),)
        times = tuple(number / FPS for number in range(FRAMES))
        scores = [[1.0, 0.0, 0.0] for _ in times]
        for event in self.found:
            for frame in range(event.start_frame, event.end_frame + 1):
                scores[frame] = [0.1, *(0.9 * (label == event.label) for label in self.labels[1:])]
        return Labelling(
            str(path), FPS, FRAMES, FRAMES / FPS, self.found, scenes, kind=self.kind, labels=self.labels,
            frame_times=times, frame_scores=tuple(map(tuple, scores)),
        )  # fmt: skip


def clips(folder: Path, *rows: dict, name: str = "t.jsonl") -> Path:
    for row in rows:
        (folder / row["path"]).write_bytes(row["path"].encode())
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_words(table: Path) -> None:
    model, seen = FakeModel(), []
    evaluator = Evaluator(model, beam=4)
    found = evaluator.read_table(table)
    summary = evaluator.run(found, seen.append)
    assert tuple(seen) == found.items
    assert [call["beam"] for call in model.calls] == [4, 4]
    assert list(summary) == [
        *("wer", "cer", "words", "insertions", "deletions", "substitutions"),
        *("audio_seconds", "cpu_seconds", "wall_seconds"),
    ]
    assert (summary["wer"], summary["words"], summary["deletions"]) == (0.2, 5, 1)
    assert summary["audio_seconds"] == 5.0
    assert evaluator.cpu_seconds > 0 and evaluator.wall_seconds > 0
    evaluator.write_hypotheses(table.parent / "out.tsv")
    assert (table.parent / "out.tsv").read_text().splitlines() == [
        "path\treference\thypothesis",
        "clips/one.txt\thello there you\thello there you",
        "clips/two.txt\tno way\tno",
    ]


def test_the_form_of_the_table_does_not_matter(table: Path) -> None:
    rows = [{"file": "clips/one.txt", "text": "hello there you"}, {"file": "clips/two.txt", "words": ["no", "way"]}]
    lines = table.with_name("t.jsonl")
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = table.with_name("t.csv")
    columns.write_text('clip,sentence\nclips/one.txt,"Hello there, you"\nclips/two.txt,No way!\n')
    for path in (lines, columns):
        evaluator = Evaluator(FakeModel())
        assert evaluator.run(evaluator.read_table(path))["wer"] == 0.2


def test_a_bad_recording_ends_the_evaluation_and_is_named(table: Path) -> None:
    (table.parent / "clips" / "two.txt").write_text("!damaged")
    evaluator = Evaluator(FakeModel())
    with pytest.raises(MediaError, match=r"table\.tsv, line 3: .*two\.txt: damaged"):
        evaluator.run(evaluator.read_table(table))
    assert evaluator.results.hypotheses == ["hello there you"]


def test_what_is_measured_follows_from_what_the_model_writes(tmp_path: Path) -> None:
    spans = [{"start": 0.2, "end": 0.6, "label": "x"}, {"start": 1.0, "end": 1.5, "label": "y"}]
    rows = {
        "spans": {"path": "a", "events": spans},
        "dense": {"path": "a", "labels": ["", "", *"xxxx", *[""] * 4, *"yyyyy", *[""] * 5]},
        "peaks": {"path": "a", "events": [{"start": 0.2, "label": "x"}, {"start": 1.0, "label": "y"}]},
        "transitions": {"path": "a", "events": [{"start_frame": 2, "end_frame": 5, "label": "x"}]},
        "clip": {"path": "a", "label": "x"},
        "sequence": {"path": "a", "text": "x y y"},
    }
    whole = (("x", 2, 5), ("y", 10, 14))
    models = {
        "spans": (Labels("spans", *whole), {"frame_accuracy": 1.0, "f1@50": 1.0, "map@0": 1.0}),
        "dense": (Labels("dense", ("x", 2, 5)), {"frame_accuracy": 0.75, "f1@10": 2 / 3, "map@0": 0.5}),
        "peaks": (Labels("peaks", ("x", 3, 3)), {"map@0": 0.0, "map@1": 0.5}),
        "transitions": (Labels("transitions", ("x", 2, 5), ("y", 18, 19)), {"recall@0": 1.0, "precision@2": 0.5}),
        "clip": (Labels("clip"), {"clip_accuracy": 1.0}),
        "sequence": (Labels("sequence", ("x", 1, 1), ("y", 2, 2), labels=()), {"token_error_rate": 1 / 3}),
    }
    for kind, (model, wanted) in models.items():
        evaluator = Evaluator(model)
        summary = evaluator.run(evaluator.read_table(clips(tmp_path, rows[kind])))
        assert (summary["kind"], summary["clips"], summary["frames"]) == (kind, 1, FRAMES)
        assert {name: summary[name] for name in wanted} == pytest.approx(wanted), kind
        assert summary["video_seconds"] == FRAMES / FPS and model.asked == [tmp_path / "a"]
        assert ("frame_accuracy" in summary) == (kind in ("spans", "dense"))
        other = clips(tmp_path, rows["clip" if kind != "clip" else "spans"])
        with pytest.raises(UsageError, match=r"t.jsonl, line 1: a has no "):
            evaluator.read_table(other)
    evaluator = Evaluator(models["sequence"][0])
    evaluator.run(evaluator.read_table(clips(tmp_path, rows["sequence"])))
    evaluator.write_hypotheses(tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_text().splitlines()[1:] == ["a\tx y y\tx y"]
    with pytest.raises(UsageError, match="unknown label 'z': there are x, y"):
        Evaluator(models["clip"][0]).read_table(clips(tmp_path, {"path": "a", "label": "z"}))


def test_sound_is_measured_as_sound(tmp_path: Path) -> None:
    model = Labels("clip")
    model.medium = SimpleNamespace(name="samples")
    evaluator = Evaluator(model)
    summary = evaluator.run(evaluator.read_table(clips(tmp_path, {"path": "a", "label": "x"})))
    assert summary["audio_seconds"] == FRAMES / FPS and "video_seconds" not in summary


def test_labels_outside_a_clip_are_told_by_their_line(tmp_path: Path) -> None:
    path = clips(tmp_path, {"path": "a", "events": []}, {"path": "b", "events": [{"start": 1, "end": 9, "label": "x"}]})
    evaluator = Evaluator(Labels("spans"))
    with pytest.raises(UsageError, match=r"t.jsonl, line 2: the event 'x' at second 1 to 9 is outside the clip"):
        evaluator.run(evaluator.read_table(path))
    assert [item.name for item in evaluator.results.items] == ["a"]


# --- what was trained on


def test_a_table_that_was_trained_on_is_told(tmp_path: Path) -> None:
    rows = [{"path": name, "label": "x"} for name in "abcd"]
    model = Labels("clip")
    evaluator = Evaluator(model)
    table = evaluator.read_table(clips(tmp_path, *rows))
    assert not evaluator.warnings(table)
    model.card["trained_items"] = trained_items([tmp_path / "b"])
    [line] = evaluator.warnings(table)
    assert line.startswith(f"{table.path}: the model was trained on one of its items, such as b: ")
    (tmp_path / "c").rename(tmp_path / "other-name")  # contents count, not names
    model.card["trained_items"] = trained_items(tmp_path / name for name in ("a", "b", "other-name"))
    (tmp_path / "other-name").rename(tmp_path / "c")
    assert "trained on 3 of its 4 items, such as a" in evaluator.warnings(table)[0]


def test_of_many_files_a_part_is_known(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(MOST + 500)]
    for path in paths:
        path.write_bytes(path.name.encode())
    card = trained_items(paths)
    seen = trained_on(card, [Item(path.name, path.name, path) for path in [*paths, tmp_path / "gone"]])
    assert len(seen) == MOST and len(card) == 12 * MOST


def test_the_hash_is_of_size_and_both_ends(tmp_path: Path) -> None:
    def of(data: bytes) -> str:
        (tmp_path / "x").write_bytes(data)
        return file_hash(tmp_path / "x")

    data = bytes(200_000)
    assert of(data) == of(data) != of(data + b"\0")
    assert len({of(data), of(b"1" + data[1:]), of(data[:-1] + b"1"), of(b""), of(b"\0")}) == 5
