"""The command line: a thin layer over the public API.

Commands only parse here. What they return is run by `main`, where every error becomes one line and an exit
status in one place. torch takes seconds to import, so modules that need it are imported by what runs.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from types import FrameType
from typing import Annotated, NoReturn

import typer

from transducer.cli.console import StdoutError, drop_stdout, report
from transducer.errors import TransducerError
from transducer.formats import FORMATS
from transducer.formats.events import LABEL_FORMATS
from transducer.version import VERSION

DEFAULT_MODEL = "speech-en"
DEFAULT_LABELLER = "shots"

app = typer.Typer(
    name="transducer",
    help="Any audio or video, file, address or pipe, to timed text and labels, while it plays.",
    add_completion=False,
    rich_markup_mode=None,  # rich takes three times as long to print the help
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Search(StrEnum):
    greedy = "greedy"
    beam = "beam"


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends like Ctrl-C, what was final is written."""


FilesArgument = Annotated[
    list[str], typer.Argument(metavar="FILES", help="Files, http(s) or rtsp addresses, - for standard input.")
]
ModelOption = Annotated[str, typer.Option("--model", "-m", help="A bundled model, or a folder.")]
OutputDirOption = Annotated[
    str | None, typer.Option("--output-dir", "-o", help="Write NAME.FORMAT for every file into this folder.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="The same as --format json.")]
SearchOption = Annotated[
    Search | None, typer.Option("--search", help="How to decode: the model's own choice if not given.")
]
BeamOption = Annotated[int | None, typer.Option("--beam", min=1, help="Hypotheses kept in a beam search.")]
ChunkOption = Annotated[
    int | None,
    typer.Option("--chunk-ms", min=1, help="Decode in chunks of this length: the model's own if not given."),
]
HotwordsOption = Annotated[
    str | None,
    typer.Option(
        "--hotwords", help="A file of words and phrases to be expected, a line each; a tab and a weight may follow."
    ),
]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads for the model.")]


def _formats(options: Sequence[str] | None, json: bool = False) -> tuple[str, ...]:
    """What --format names, each with commas in it or not, and what --json means."""
    return tuple(name for option in options or () for name in option.split(",")) + (("json",) if json else ())


def _version(value: bool) -> None:
    if value:
        print(f"transducer {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def transcribe(
    files: FilesArgument,
    model: ModelOption = DEFAULT_MODEL,
    format: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", help=f"One of {', '.join(FORMATS)}; may be repeated, or a list with commas."),
    ] = None,
    output_dir: OutputDirOption = None,
    search: SearchOption = None,
    beam: BeamOption = None,
    chunk_ms: ChunkOption = None,
    hotwords: HotwordsOption = None,
    nbest: Annotated[
        int | None, typer.Option("--nbest", min=1, help="Alternatives for every segment, in json and jsonl.")
    ] = None,
    raw: Annotated[
        str | None, typer.Option("--raw", help="The input is bare samples of this format, such as s16le.")
    ] = None,
    rate: Annotated[int | None, typer.Option("--rate", min=1, help="With --raw: samples a second.")] = None,
    channels: Annotated[int | None, typer.Option("--channels", min=1, help="With --raw: channels.")] = None,
    threads: ThreadsOption = None,
    json: JsonOption = False,
    punctuate: Annotated[bool, typer.Option("--punctuate", help="Restore capitals and punctuation.")] = False,
    digits: Annotated[bool, typer.Option("--digits", help="Write numbers from ten on as digits.")] = False,
) -> Callable[[], int]:
    """Turn audio and video into timed text.

    On a terminal the text appears while it is decoded. Piped, finals come a line a segment; --format jsonl has
    partial results as well.
    """
    from transducer.cli.transcribe import TranscribeJob, run

    job = TranscribeJob(
        sources=tuple(files),
        model=model,
        formats=_formats(format, json),
        output_dir=output_dir,
        search=search.value if search else None,
        beam=beam,
        chunk_ms=chunk_ms,
        hotwords=hotwords,
        nbest=nbest,
        raw=raw,
        rate=rate,
        channels=channels,
        threads=threads,
        punctuate=punctuate,
        digits=digits,
    )
    return partial(run, job)


@app.command()
def label(
    files: FilesArgument,
    model: ModelOption = DEFAULT_LABELLER,
    format: Annotated[
        list[str] | None,
        typer.Option(
            "--format", "-f", help=f"One of {', '.join(LABEL_FORMATS)}; may be repeated, or a list with commas."
        ),
    ] = None,
    output_dir: OutputDirOption = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold", help="The probability, between 0 and 1, that an event needs: the model's own if not given."
        ),
    ] = None,
    frames: Annotated[
        bool, typer.Option("--frames", help="Label and scores of every frame as well, in json, csv and tsv.")
    ] = False,
    overlay: Annotated[
        str | None, typer.Option("--overlay", metavar="OUT.mp4", help="Make a copy of the video that shows the labels.")
    ] = None,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> Callable[[], int]:
    """Find the scenes of videos and what lies between them, or whatever else a model has learnt to label."""
    from transducer.cli.label import LabelJob, run

    job = LabelJob(
        sources=tuple(files),
        model=model,
        formats=_formats(format, json),
        output_dir=output_dir,
        threshold=threshold,
        frames=frames,
        overlay=overlay,
        threads=threads,
    )
    return partial(run, job)


@app.command()
def annotate(
    files: FilesArgument,
    model: Annotated[str, typer.Option("--model", "-m", help="For the words: a bundled model, or a folder.")] = (
        DEFAULT_MODEL
    ),
    shots: Annotated[str, typer.Option("--shots", help="For the scenes: a bundled model, or a folder.")] = (
        DEFAULT_LABELLER
    ),
    format: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", help="One of json, jsonl, txt, srt, vtt, html; may be repeated."),
    ] = None,
    output_dir: OutputDirOption = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="The probability, between 0 and 1, that an event needs.")
    ] = None,
    threads: ThreadsOption = None,
) -> Callable[[], int]:
    """Find the words and the scenes of videos in one go: what is said, and in which scene."""
    from transducer.cli.annotate import AnnotateJob, run

    job = AnnotateJob(
        sources=tuple(files),
        model=model,
        shots=shots,
        formats=_formats(format),
        output_dir=output_dir,
        threshold=threshold,
        threads=threads,
    )
    return partial(run, job)


@app.command()
def info(
    model: Annotated[str, typer.Argument(help="A bundled model, or a folder.")] = DEFAULT_MODEL,
    json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> Callable[[], int]:
    """Say what a model is: size, latency, what it was trained on and under which licences."""
    from transducer.cli.info import run

    return partial(run, model, json)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A bundled model, or a folder.")],
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="Any table that `train` takes: path and text; or labels, see docs/your-own-labels.md."
        ),
    ],
    search: SearchOption = None,
    beam: BeamOption = None,
    chunk_ms: ChunkOption = None,
    hotwords: HotwordsOption = None,
    threads: ThreadsOption = None,
    hypotheses: Annotated[
        str | None, typer.Option("--hypotheses", help="Save each path, reference and hypothesis to this file.")
    ] = None,
    confusion: Annotated[
        str | None, typer.Option("--confusion", help="Of a model of labels: draw what is taken for what in this PNG.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One line of JSON; rates are fractions there.")] = False,
) -> Callable[[], int]:
    """Measure how right a model is, and its speed, on a table of recordings or clips.

    What is measured follows from what the model writes. Words: word error rate, texts compared in lower case without
    punctuation. Events and labels: frame accuracy, segment F1, mean average precision; accuracy for whole clips, token
    error rate for sequences.
    """
    from transducer.cli.evaluate import EvaluateJob, run

    job = EvaluateJob(
        model=model,
        table=table,
        search=search.value if search else None,
        beam=beam,
        chunk_ms=chunk_ms,
        hotwords=hotwords,
        threads=threads,
        hypotheses=hypotheses,
        confusion=confusion,
        json=json,
    )
    return partial(run, job)


@app.command()
def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="FILE or FILE:FUNCTION, such as pipelines/speech_en.")
    ],
    data: Annotated[
        str | None, typer.Option("--data", help="The folder with the data: $TRANSDUCER_DATA, or else this folder.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="The run's folder: runs/NAME if not given.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A few steps on a little data, to see that it runs.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting; may be repeated.")
    ] = None,
    threads: ThreadsOption = None,
    cache: Annotated[str | None, typer.Option("--cache", help="A folder for features that several runs share.")] = None,
) -> Callable[[], int]:
    """Train a model from a recipe."""

    def run() -> int:
        from transducer.training.run import train_command

        return train_command(
            recipe,
            data=data,
            output=output,
            resume=resume,
            quick=quick,
            settings=tuple(settings or ()),
            threads=threads,
            cache=cache,
        )

    return run


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    0: done. 1: a source, or an output, failed. 2: wrong usage. 130, 143: interrupted, terminated.
    141: what read the output has gone.
    """
    for stream in (sys.stdout, sys.stderr):
        # File names need not be valid text, and not every terminal can show every letter.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        arguments = sys.argv[1:] if arguments is None else list(arguments)
        run = app(args=arguments or ["--help"], prog_name="transducer", standalone_mode=False)
        return run() if callable(run) else int(run or 0)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "transducer"
        report("error", f"{error.format_message().rstrip('.')} (see {command} --help)")
        return error.exit_code
    except TransducerError as error:
        report("error", str(error))
        return error.exit_status
    except StdoutError as error:
        drop_stdout()
        report("error", str(error))
        return 1
    except BrokenPipeError:
        drop_stdout()
        return 141
    except Terminated:
        return 143
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGTERM, previous)
