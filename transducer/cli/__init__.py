"""The command line: a thin layer over the public API.

Commands only parse here. What they return is run by `main`, where every error becomes one line and an exit
status in one place. torch takes seconds to import, so modules that need it are imported by what runs.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from transducer.cli import parameters as p
from transducer.cli.console import StdoutError, drop_stdout, prepare_streams, report
from transducer.errors import TransducerError
from transducer.results import Annotation, Labelling, Transcript
from transducer.version import VERSION

app = typer.Typer(
    name="transducer",
    help="Any audio or video, file, address or pipe, to timed text and labels, while it plays.",
    add_completion=False,
    rich_markup_mode=None,  # rich takes three times as long to print the help
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends like Ctrl-C, what was final is written."""


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
    files: p.Files = None,
    model: p.Model = p.DEFAULT_MODEL,
    format: Annotated[list[str] | None, p.format_option(Transcript)] = None,
    output_dir: p.OutputDir = None,
    output: p.Output = None,
    json: p.Json = False,
    recursive: p.Recursive = False,
    files_from: p.FilesFrom = None,
    jobs: p.Jobs = None,
    resume: p.Resume = False,
    by_content: p.ByContent = False,
    start: p.Start = None,
    length: p.Length = None,
    track: p.Track = None,
    search: p.SearchChoice = None,
    beam: p.Beam = None,
    chunk_ms: p.ChunkMs = None,
    hotwords: p.Hotwords = None,
    nbest: p.NBest = None,
    temperature: p.Temperature = None,
    top_k: p.TopK = None,
    top_p: p.TopP = None,
    seed: p.Seed = None,
    length_penalty: p.LengthPenalty = None,
    coverage_penalty: p.CoveragePenalty = None,
    language_model: p.LanguageModel = None,
    language_weight: p.LanguageWeight = None,
    language: p.Language = None,
    task: p.TaskChoice = None,
    prompt: p.Prompt = None,
    partials: p.Partials = False,
    second_pass: p.SecondPass = None,
    punctuate: p.Punctuate = False,
    digits: p.Digits = False,
    paragraphs: p.Paragraphs = False,
    karaoke: p.Karaoke = False,
    raw: p.Raw = None,
    rate: p.Rate = None,
    channels: p.Channels = None,
    device: p.OnDevice = None,
    threads: p.Threads = None,
) -> Callable[[], int]:
    """Turn audio and video into timed text.

    On a terminal the text appears while it is decoded. Piped, finals come a line a segment; --format jsonl has
    partial results as well.
    """
    return _job("transcribe", locals())


@app.command()
def label(
    files: p.Files = None,
    model: p.Model = p.DEFAULT_LABELLER,
    format: Annotated[list[str] | None, p.format_option(Labelling)] = None,
    output_dir: p.OutputDir = None,
    output: p.Output = None,
    json: p.Json = False,
    recursive: p.Recursive = False,
    files_from: p.FilesFrom = None,
    jobs: p.Jobs = None,
    resume: p.Resume = False,
    by_content: p.ByContent = False,
    start: p.Start = None,
    length: p.Length = None,
    track: p.Track = None,
    threshold: p.Threshold = None,
    frames: Annotated[
        bool, typer.Option("--frames", help="Label and scores of every frame as well, in json, csv and tsv.")
    ] = False,
    overlay: Annotated[
        str | None, typer.Option("--overlay", metavar="OUT.mp4", help="Make a copy of the video that shows the labels.")
    ] = None,
    images: Annotated[
        str | None, typer.Option("--images", metavar="DIR", help="Write a picture of each scene into this folder.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", metavar="DIR", help="Write each scene as a video into this folder.")
    ] = None,
    min_scene: Annotated[
        str | None, typer.Option("--min-scene", metavar="TIME", help="Leave out transitions that come sooner.")
    ] = None,
    start_timecode: p.StartTimecode = None,
    device: p.OnDevice = None,
    threads: p.Threads = None,
) -> Callable[[], int]:
    """Find the scenes of videos and what lies between them, or whatever else a model has learnt to label."""
    return _job("label", locals())


@app.command()
def annotate(
    files: p.Files = None,
    model: Annotated[str, typer.Option("--model", "-m", help="For the words: a bundled model, or a folder.")] = (
        p.DEFAULT_MODEL
    ),
    shots: Annotated[str, typer.Option("--shots", help="For the scenes: a bundled model, or a folder.")] = (
        p.DEFAULT_LABELLER
    ),
    format: Annotated[list[str] | None, p.format_option(Annotation)] = None,
    output_dir: p.OutputDir = None,
    output: p.Output = None,
    json: p.Json = False,
    recursive: p.Recursive = False,
    files_from: p.FilesFrom = None,
    jobs: p.Jobs = None,
    resume: p.Resume = False,
    by_content: p.ByContent = False,
    start: p.Start = None,
    length: p.Length = None,
    track: p.Track = None,
    threshold: p.Threshold = None,
    search: p.SearchChoice = None,
    beam: p.Beam = None,
    chunk_ms: p.ChunkMs = None,
    hotwords: p.Hotwords = None,
    nbest: p.NBest = None,
    temperature: p.Temperature = None,
    top_k: p.TopK = None,
    top_p: p.TopP = None,
    seed: p.Seed = None,
    length_penalty: p.LengthPenalty = None,
    coverage_penalty: p.CoveragePenalty = None,
    language_model: p.LanguageModel = None,
    language_weight: p.LanguageWeight = None,
    language: p.Language = None,
    task: p.TaskChoice = None,
    prompt: p.Prompt = None,
    second_pass: p.SecondPass = None,
    punctuate: p.Punctuate = False,
    digits: p.Digits = False,
    karaoke: p.Karaoke = False,
    device: p.OnDevice = None,
    threads: p.Threads = None,
) -> Callable[[], int]:
    """Find the words and the scenes of videos in one go: what is said, and in which scene."""
    return _job("annotate", locals())


@app.command()
def info(
    model: Annotated[str, typer.Argument(help="A bundled model, or a folder.")] = p.DEFAULT_MODEL,
    json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
    diagram: Annotated[
        str | None, typer.Option("--diagram", metavar="FILE.svg", help="Draw its stages into this file.")
    ] = None,
) -> Callable[[], int]:
    """Say what a model is: size, latency, stages, what it was trained on and under which licences."""
    from transducer.cli.info import run

    return partial(run, model, json, diagram)


@app.command()
def models(
    json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> Callable[[], int]:
    """List the models that are bundled, in the cache of the Hugging Face hub, or known there by name."""
    from transducer.cli.models import run

    return partial(run, json)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A bundled model, or a folder.")],
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="Any table that `train` takes: path and text; or labels, see docs/your-own-labels.md."
        ),
    ],
    search: p.SearchChoice = None,
    beam: p.Beam = None,
    chunk_ms: p.ChunkMs = None,
    hotwords: p.Hotwords = None,
    temperature: p.Temperature = None,
    top_k: p.TopK = None,
    top_p: p.TopP = None,
    seed: p.Seed = None,
    length_penalty: p.LengthPenalty = None,
    coverage_penalty: p.CoveragePenalty = None,
    language_model: p.LanguageModel = None,
    language_weight: p.LanguageWeight = None,
    language: p.Language = None,
    task: p.TaskChoice = None,
    prompt: p.Prompt = None,
    partials: p.Partials = False,
    second_pass: p.SecondPass = None,
    threads: p.Threads = None,
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
    given = locals()

    def work() -> int:
        from transducer.cli.evaluate import EvaluateJob, run

        return run(EvaluateJob(**given))

    return work


def _job(command: str, given: dict[str, Any]) -> Callable[[], int]:
    """What does a command, with the arguments that it was given."""

    def run() -> int:
        from transducer.cli.job import Job
        from transducer.cli.run import run

        return run(Job(command, **given))

    return run


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    0: done. 1: a source, or an output, failed. 2: wrong usage. 3: done, but parts of a source could not be read.
    130, 143: interrupted, terminated. 141: what read the output has gone.
    """
    prepare_streams()
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


from transducer.cli import align as _align  # noqa: E402, F401 - registers its command
from transducer.cli import attention as _attention  # noqa: E402, F401 - registers its command
from transducer.cli import batch as _batch  # noqa: E402, F401 - registers its command
from transducer.cli import export as _export  # noqa: E402, F401 - registers its command
from transducer.cli import language as _language  # noqa: E402, F401 - registers its commands
from transducer.cli import predict as _predict  # noqa: E402, F401 - registers its command
from transducer.cli import serve as _serve  # noqa: E402, F401 - registers its command
from transducer.cli import train as _train  # noqa: E402, F401 - registers its command
from transducer.cli.live import commands as _live  # noqa: E402, F401 - registers its commands
