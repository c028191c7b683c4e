"""The commands label and annotate, with models that read scripts instead of media (fake_label_model.py)."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import fake_label_model
import pytest
from command_line import ENVIRONMENT, error_line, use_models
from contact_sheet import Page, write_video

from transducer.cli import main
from transducer.formats import formats
from transducer.media.io.fanout import FanOut
from transducer.results import Labelling

PROGRAM = [sys.executable, fake_label_model.__file__]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The models by name; what is loaded is one of these."""
    made = {"labels": fake_label_model.FakeLabelModel(), "speech": fake_label_model.FakeSpeechModel()}
    use_models(monkeypatch, fake_label_model.load, made)
    return made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two scripts."""
    (tmp_path / "one.mp4").write_text("cut 9 10 0.98\ndissolve 49 60 0.8\nframes 100\nsay hello there\nsay you\n")
    (tmp_path / "two.mp4").write_text("frames 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def label(*arguments: str) -> int:
    return main(["label", "--model", "labels", *arguments])


def annotate(*arguments: str) -> int:
    return main(["annotate", "--model", "speech", "--shots", "labels", *arguments])


LISTING = """\
0:00:00.000  0:00:00.400              0-9  shot
0:00:00.360  0:00:00.400             9-10  cut         0.98
0:00:00.400  0:00:02.000            10-49  shot
0:00:01.960  0:00:02.400            49-60  dissolve    0.80
0:00:02.400  0:00:04.000            60-99  shot
"""
STILL = "0:00:00.000  0:00:00.040              0-0  shot\n"


# --- results on standard output


def test_a_listing_to_read(models, folder, capsys):
    assert label("one.mp4") == 0
    assert capsys.readouterr() == (LISTING, "")


def test_several_files_have_headers_like_head(models, folder, capsys):
    assert label("one.mp4", "two.mp4") == 0
    assert capsys.readouterr().out == f"==> one.mp4 <==\n{LISTING}\n==> two.mp4 <==\n{STILL}"


def test_json_is_one_line_a_file(models, folder, capsys):
    assert label("one.mp4", "two.mp4", "--json") == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert list(first) == ["source", "fps", "frames", "events", "segments"]
    assert (first["source"], first["frames"], len(first["events"]), len(first["segments"])) == ("one.mp4", 100, 2, 3)
    assert second["events"] == [] and len(second["segments"]) == 1


@pytest.mark.parametrize("format", formats(Labelling))
def test_every_format_is_the_same_on_standard_output(models, folder, capsys, format):
    assert label("one.mp4", "-f", format, "-o", "out") == 0
    assert capsys.readouterr().out == ""
    assert label("one.mp4", "--format", format) == 0
    shown, written = capsys.readouterr().out, (folder / "out" / f"one.{format}").read_text()
    assert (json.loads(shown) == json.loads(written)) if format == "json" else shown == written


def test_events_come_while_the_video_goes_on(folder):
    (folder / "live.mp4").write_text("cut 9 10 0.98\n...\n")
    for format, lines in (("txt", 2), ("jsonl", 1)):
        command = [*PROGRAM, "label", "-m", "labels", "live.mp4", "-f", format]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
            assert "cut" in [process.stdout.readline() for _ in range(lines)][-1]
            process.kill()


def test_frames(models, folder, capsys):
    assert label("one.mp4", "--frames") == 0
    data = json.loads(capsys.readouterr().out)
    assert [k for k, name in enumerate(data["frame_labels"]) if name == "cut"] == [10]
    assert [k for k, name in enumerate(data["frame_labels"]) if name == "dissolve"] == list(range(50, 61))
    assert len(data["frame_scores"]) == len(data["frame_times"]) == 100 and data["labels"][0] == ""
    assert label("one.mp4", "--frames", "-f", "csv") == 0
    assert sum(line.startswith("frame,") for line in capsys.readouterr().out.splitlines()) == 100


def test_options_reach_the_model(models, folder):
    assert label("one.mp4", "--threshold", "0.25", "--json") == 0
    assert label("one.mp4", "--frames") == 0
    assert models["labels"].calls == [
        {"source": "one.mp4", "threshold": 0.25},
        {"source": "one.mp4", "frames": True},
    ]


def test_warnings_go_to_standard_error_and_into_json(models, folder, capsys):
    (folder / "bad.mp4").write_text("cut 9 10 0.9\n?damaged at 3.5 s\n")
    assert label("bad.mp4", "--json") == 3
    captured = capsys.readouterr()
    assert captured.err == "transducer: warning: bad.mp4: damaged at 3.5 s\n"
    assert json.loads(captured.out)["warnings"] == ["bad.mp4: damaged at 3.5 s"]


# --- wrong usage, bad sources


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'FILES'"),
        (["one.mp4", "--format", "doc"], f"unknown format 'doc'; there are {', '.join(formats(Labelling))}"),
        (["one.mp4", "--format", "srt,edl"], "2 formats (srt, edl) do not fit one output: add --output-dir"),
        (["one.mp4", "two.mp4", "--format", "csv"], "csv of several files does not fit one output: add --output-dir"),
        (["one.mp4", "--threshold", "0"], "--threshold 0 is no probability between 0 and 1"),
        (["one.mp4", "--threshold", "1"], "--threshold 1 is no probability between 0 and 1"),
        (["one.mp4", "--threshold", "nan"], "--threshold nan is no probability between 0 and 1"),
        (["one.mp4", "--threshold", "much"], "Invalid value for '--threshold'"),
        (["one.mp4", "--threads", "0"], "--threads"),
        (["one.mp4", "--frames", "--format", "srt"], "--frames goes into json, csv, tsv"),
        (["-", "-"], "standard input (-) can be read only once"),
        (["one.mp4", "--model", "huge"], "unknown model 'huge'"),
        (["one.mp4", "two.mp4", "--overlay", "out.mp4"], "--overlay makes a copy of one video: name one source"),
        (["one.mp4", "--overlay", "."], "--overlay needs a file"),
        (["one.mp4", "--overlay", "out.doc"], "end the name with one of .mp4"),
        (["one.mp4", "--overlay", "./one.mp4"], "would write over what it reads"),
        (["one.mp4", "--overlay", "two.mp4/out.mp4"], "not a folder; --overlay needs one"),
        (["rtsp://camera/door", "--overlay", "out.mp4"], "a live address cannot"),
    ],
)
def test_wrong_usage(models, folder, capsys, arguments, message):
    assert label(*arguments) == 2
    assert message in error_line(capsys)
    assert models["labels"].calls == []


def test_missing_file(models, folder, capsys):
    assert label("none.mp4") == 1
    assert "none.mp4: no such file" in error_line(capsys)


def test_one_bad_file_does_not_stop_the_others(models, folder, capsys):
    (folder / "bad.mp4").write_text("cut 9 10 0.9\n!its index (moov) is missing\n")
    (folder / "sound.mp4").write_text("blind\n")
    (folder / "empty").mkdir()
    assert label("none.mp4", "bad.mp4", "sound.mp4", "empty", "two.mp4", "-o", "out") == 1
    errors = capsys.readouterr().err.splitlines()
    assert [line.removeprefix("transducer: error: ") for line in errors] == [
        "none.mp4: no such file; check the name",
        "empty: is a folder without media files; see also --recursive",
        "bad.mp4: its index (moov) is missing",
        "sound.mp4: has no video; name a file that has pictures",
    ]
    assert sorted(os.listdir("out")) == ["bad.txt", "two.txt"]


def test_what_breaks_off_is_written_as_far_as_it_is_certain(models, folder, capsys):
    (folder / "bad.mp4").write_text("cut 9 10 0.9\n!is not readable any more\n")
    assert label("bad.mp4", "--json") == 1
    captured = capsys.readouterr()
    assert [event["label"] for event in json.loads(captured.out)["events"]] == ["cut"]
    assert captured.err == "transducer: error: bad.mp4: is not readable any more\n"


# --- output files


def test_output_files(models, folder, capsys):
    assert label("one.mp4", "two.mp4", "-o", "new/out", "-f", "json,edl", "--format", "html") == 0
    assert capsys.readouterr().out == ""
    names = [f"{name}.{format}" for name in ("one", "two") for format in ("edl", "html", "json")]
    assert sorted(os.listdir("new/out")) == names


def test_names_that_collide(models, folder, capsys):
    (folder / "one.mkv").write_text("frames 1\n")
    assert label("one.mp4", "one.mkv", "-o", "out", "--json") == 0
    assert sorted(os.listdir("out")) == ["one.mkv.json", "one.mp4.json"]
    (folder / "more").mkdir()
    (folder / "more" / "one.mp4").write_text("frames 1\n")
    assert label("one.mp4", "more/one.mp4", "-o", "other") == 2
    assert "would both be written to other/one.mp4.txt" in error_line(capsys)


@pytest.mark.parametrize("target", ["one.mp4", "one.mp4/out", "/proc/out"])
def test_a_folder_that_cannot_be_written_is_found_first(models, folder, capsys, target):
    assert label("one.mp4", "-o", target) == 2
    assert error_line(capsys).startswith(f"{target}: ")
    assert models["labels"].calls == []


def test_full_disk_keeps_the_work(models, folder, capsys, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert label("one.mp4", "-o", "out", "-f", "txt") == 1
    captured = capsys.readouterr()
    assert captured.out == LISTING
    assert captured.err.startswith("transducer: error: out/one.txt: cannot be written: No space left on device; ")
    assert os.listdir("out") == []


INTERRUPTS = pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])


@INTERRUPTS
def test_interrupt_writes_what_was_certain(folder, number, status):
    (folder / "live.mp4").write_text("cut 9 10 0.98\nmark\n...\n")
    command = [*PROGRAM, "label", "-m", "labels", "live.mp4", "-o", "out", "-f", "txt,json,html"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT) as process:
        wait_for(process, folder / "label.mark")
        process.send_signal(number)
        assert process.communicate() == (b"", None)
    assert process.returncode == status
    assert [e["label"] for e in json.loads((folder / "out" / "live.json").read_text())["events"]] == ["cut"]
    assert len(os.listdir("out")) == 3


@INTERRUPTS
def test_interrupt_of_annotate_writes_what_was_certain(folder, number, status):
    os.mkfifo("live.mp4")
    command = [*PROGRAM, "annotate", "-m", "speech", "--shots", "labels", "live.mp4", "-o", "out", "-f", "json,html"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT) as process,
        open("live.mp4", "w") as pipe,
    ):
        pipe.write("cut 9 10 0.98\nsay first\nmark\n")
        pipe.flush()
        wait_for(process, folder / "label.mark", folder / "speech.mark")
        process.send_signal(number)
        assert process.communicate() == (b"", None)
    assert process.returncode == status
    data = json.loads((folder / "out" / "live.json").read_text())
    assert data["text"] == "first" and [event["label"] for event in data["events"]] == ["cut"]
    assert len(os.listdir("out")) == 2


def wait_for(process: subprocess.Popen, *files: Path) -> None:
    while not all(file.exists() for file in files):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_a_closed_pipe_ends_quietly(folder):
    (folder / "long.mp4").write_text("".join(f"cut {k} {k + 1} 0.9\n" for k in range(0, 20_000, 2)))
    command = [*PROGRAM, "label", "-m", "labels", "long.mp4", "-f", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


# --- pages with pictures


def page(path: Path) -> Page:
    return Page(path.read_text())


def test_pages_have_pictures_of_both_sides_of_a_cut(models, folder):
    write_video(folder / "clip.mp4", 40, (320, 180))
    assert label("clip.mp4", "-f", "html", "-o", "out") == 0
    images = dict(page(folder / "out" / "clip.html").images)
    assert list(images) == ["frame 0", "frame 19", "frame 20", "frame 39"]
    import cv2
    import numpy as np

    pictures = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in images.values()]
    assert {picture.shape for picture in pictures} == {(108, 192, 3)}
    assert [int(picture.mean((0, 1)).argmax()) for picture in pictures] == [2, 2, 0, 0]  # red, and then blue, as BGR


def test_pages_of_what_comes_from_a_pipe_have_pictures(models, folder, monkeypatch):
    data = write_video(folder / "clip.mp4", 40).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert label("-", "-f", "html,json", "-o", "out") == 0
    assert len(page(folder / "out" / "stdin.html").images) == 4
    assert json.loads((folder / "out" / "stdin.json").read_text())["source"] == "standard input"
    os.mkfifo("pipe.mp4")
    writer = threading.Thread(target=Path("pipe.mp4").write_bytes, args=(data,))
    writer.start()
    assert label("pipe.mp4", "-f", "html", "-o", "out") == 0
    writer.join()
    assert len(page(folder / "out" / "pipe.html").images) == 4


def test_pages_of_what_cannot_be_read_again_say_so(models, folder, capsys):
    assert label("one.mp4", "-f", "html", "-o", "out") == 0  # a script is no video
    assert "the page lacks pictures" in capsys.readouterr().err
    assert page(folder / "out" / "one.html").images == []


def test_overlay_is_a_copy_with_labels(models, folder, capsys, monkeypatch):
    clip = write_video(folder / "clip.mp4", 40, (320, 180))
    assert label("clip.mp4", "--overlay", "seen.mp4", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["events"]) == 1
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(clip.read_bytes())))
    assert label("-", "--overlay", "piped.mkv", "-o", "out") == 0
    from transducer.media.video.reader import open_video

    for name in ("seen.mp4", "piped.mkv"):
        with open_video(name) as copy, open_video(clip) as original:
            differences = [
                abs(ours.image.astype(int) - theirs.image).max() for ours, theirs in zip(copy, original, strict=True)
            ]
        assert len(differences) == 40 and min(differences) > 50


# --- annotate


def test_annotate_puts_words_into_scenes(models, folder, capsys):
    assert annotate("one.mp4") == 0
    data = json.loads(capsys.readouterr().out)
    assert list(data) == ["source", "duration", "fps", "frames", "text", "segments", "events", "scenes"]
    assert (data["text"], data["duration"], data["frames"]) == ("hello there you", 4.0, 100)
    words = [word for segment in data["segments"] for word in segment["words"]]
    assert [(word["text"], word["scene"]) for word in words] == [("hello", 0), ("there", 1), ("you", 1)]
    assert [segment["scene"] for segment in data["segments"]] == [0, 1]
    assert [event["label"] for event in data["events"]] == ["cut", "dissolve"] and len(data["scenes"]) == 3


def test_annotate_reads_a_pipe_once_for_both(models, folder, capsys, monkeypatch):
    assert annotate("one.mp4") == 0
    whole = json.loads(capsys.readouterr().out)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path("one.mp4").read_bytes())))
    assert annotate("-") == 0
    assert json.loads(capsys.readouterr().out) == {**whole, "source": "standard input"}
    command = [*PROGRAM, "annotate", "-m", "speech", "--shots", "labels", "-"]
    done = subprocess.run(command, input=Path("one.mp4").read_bytes(), capture_output=True, env=ENVIRONMENT)
    assert json.loads(done.stdout) == {**whole, "source": "standard input"}


@pytest.mark.parametrize(("missing", "kept"), [("silent", "events"), ("blind", "segments")])
def test_annotate_gives_the_half_that_there_is(models, folder, capsys, missing, kept):
    (folder / "half.mp4").write_text(f"{missing}\ncut 9 10 0.9\nsay hello\n")
    assert annotate("half.mp4") == 0
    captured = capsys.readouterr()
    data = json.loads(captured.out)
    assert [key for key in ("events", "segments") if data[key]] == [kept]
    assert captured.err.startswith("transducer: warning: half.mp4: ") and captured.err.count("\n") == 1
    assert len(data["warnings"]) == 1
    if missing == "blind":
        assert data["fps"] is None and data["segments"][0]["words"][0]["scene"] is None
    assert annotate("half.mp4", "-f", "json,jsonl,txt,srt,vtt,html", "-o", "out") == 0
    assert len(os.listdir("out")) == 6


def test_annotate_of_neither_is_an_error(models, folder, capsys):
    (folder / "none.mp4").write_text("nothing\n")
    assert annotate("none.mp4", "-o", "out") == 1
    assert "none.mp4: is a video without sound" in error_line(capsys)
    assert os.listdir("out") == []
    assert annotate("no-such.mp4") == 1
    assert "no-such.mp4: no such file" in error_line(capsys)


def test_annotate_keeps_what_came_before_it_broke_off(models, folder, capsys):
    (folder / "bad.mp4").write_text("cut 9 10 0.9\nsay hello\n!is not readable any more\nsay you\n")
    assert annotate("bad.mp4") == 1
    captured = capsys.readouterr()
    data = json.loads(captured.out)
    assert data["text"] == "hello" and len(data["events"]) == 1
    assert captured.err == "transducer: error: bad.mp4: is not readable any more\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one.mp4", "--format", "edl"], "unknown format 'edl'; there are json, jsonl, txt, srt, vtt, html"),
        (["one.mp4", "--threshold", "2"], "--threshold 2 is no probability between 0 and 1"),
        (
            ["one.mp4", "--model", "labels"],
            "the model labels gives events, and this takes a model of words; use transducer l",
        ),
        (["one.mp4", "--shots", "huge"], "unknown model 'huge'"),
        (["one.mp4", "-f", "srt,vtt"], "2 formats (srt, vtt) do not fit one output: add --output-dir"),
        (["-", "-"], "standard input (-) can be read only once"),
    ],
)
def test_annotate_wrong_usage(models, folder, capsys, arguments, message):
    assert annotate(*arguments) == 2
    assert message in error_line(capsys)


def test_annotate_as_a_script(models, folder, capsys):
    assert annotate("one.mp4", "two.mp4", "-f", "txt") == 0
    assert capsys.readouterr().out.split("\n\n")[0] == "\n".join(
        [
            "==> one.mp4 <==",
            "0:00:00.000  shot 1",
            "    hello",
            "0:00:00.360  [cut 0.98]",
            "0:00:00.400  shot 2",
            "    there",
            "    you",
            "0:00:01.960  [dissolve 0.80]",
            "0:00:02.400  shot 3",
        ]
    )
    assert annotate("one.mp4", "-f", "jsonl") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["type"] for row in rows] == ["scene", "segment", "event", "scene", "event", "segment", "scene"]
    assert annotate("one.mp4", "-f", "html", "-o", "out") == 0
    assert "there" in page(folder / "out" / "one.html").words


def test_help(capsys):
    for command in ("label", "annotate"):
        assert main([command, "--help"]) == 0
        assert f"transducer {command}" in capsys.readouterr().out


# --- what annotate reads pipes with


def test_fan_out_gives_all_to_each_and_holds_little():
    data = os.urandom(1_000_000)
    split = FanOut(io.BytesIO(data), 3, "pipe", limit=100_000)
    most = 0
    got: list[bytes] = [b""] * 3

    def read(number: int, size: int) -> None:
        nonlocal most
        while part := split.readers[number].read(size):
            got[number] += part
            most = max(most, *(reader._size for reader in split.readers))

    threads = [threading.Thread(target=read, args=(k, size)) for k, size in enumerate((999, 65_536, 100_000))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [data] * 3
    assert most <= 100_000 + 2 * 65_536


def test_fan_out_does_not_wait_for_readers_that_have_gone():
    data = os.urandom(1_000_000)
    split = FanOut(io.BytesIO(data), 2, "pipe", limit=1000)
    assert split.readers[1].read(10) == data[:10]
    split.readers[1].close()
    assert split.readers[0].read() == data


def test_fan_out_passes_errors_on_and_can_be_stopped():
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError(errno.EIO, "broken")

    for reader in FanOut(Broken(), 2, "pipe").readers:
        with pytest.raises(OSError, match="broken"):
            reader.read(1)
    ours, theirs = os.pipe()  # nothing ever comes
    with open(ours, "rb") as pipe, open(theirs, "wb"):
        split = FanOut(pipe, 1, "pipe")
        threading.Timer(0.1, split.stop).start()
        assert split.readers[0].read(1) == b""


@pytest.mark.parametrize("end", ["close", "stop", "stop the outer of two"])
def test_a_fan_out_ends_for_a_reader_that_waits_for_its_pipe(end):
    ours, theirs = os.pipe()  # nothing ever comes
    with open(ours, "rb") as pipe, open(theirs, "wb"):
        split = FanOut(pipe, 1, "pipe")
        if "outer" in end:
            split = FanOut(split.readers[0], 1, "pipe")
        thread = threading.Thread(target=split.readers[0].read, daemon=True)
        thread.start()
        time.sleep(0.05)
        split.readers[0].close() if end == "close" else split.stop()
        thread.join(20)
        assert not thread.is_alive()


def test_a_fan_out_goes_on_for_a_reader_when_another_is_closed_while_it_waits():
    ours, theirs = os.pipe()
    with open(ours, "rb") as pipe, open(theirs, "wb", buffering=0) as writer:
        split = FanOut(pipe, 2, "pipe")
        got: list[bytes] = []
        threads = [
            threading.Thread(target=lambda reader=reader: got.append(reader.read(9)), daemon=True)
            for reader in split.readers
        ]
        for thread in threads:
            thread.start()
            time.sleep(0.05)
        split.readers[0].close()  # which is the one that reads on
        threads[0].join(20)
        writer.write(b"more")
        threads[1].join(20)
        assert got == [b"", b"more"]
