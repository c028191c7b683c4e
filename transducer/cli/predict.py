"""`transducer predict`: what a model makes of texts, numbers, or files, by themselves or line by line."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transducer.cli import app
from transducer.cli import parameters as p
from transducer.cli.console import report, write_stdout
from transducer.cli.options import check_threads, check_threshold, decoding_options, set_threads
from transducer.errors import TransducerError, UsageError
from transducer.results import Event, Labelling, Segment, Transcript
from transducer.search.events.rules import OF_WHOLES

if TYPE_CHECKING:
    from transducer.engine.model import Model

STDIN = "-"


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="A bundled model, or a folder.")],
    xs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[X]...",
            help="Texts, numbers such as [1,2,3], files, tables (.jsonl); - for media or rows by standard input. "
            "Without any, each line of standard input is one.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="A line of JSON for each: x, y, and how sure.")] = False,
    output_dir: Annotated[
        str | None, typer.Option("--output-dir", "-o", help="Of files: write NAME.json for each into this folder.")
    ] = None,
    recursive: p.Recursive = False,
    files_from: p.FilesFrom = None,
    jobs: p.Jobs = None,
    resume: p.Resume = False,
    by_content: p.ByContent = False,
    search: p.SearchChoice = None,
    beam: p.Beam = None,
    temperature: p.Temperature = None,
    top_k: p.TopK = None,
    top_p: p.TopP = None,
    seed: p.Seed = None,
    length_penalty: p.LengthPenalty = None,
    coverage_penalty: p.CoveragePenalty = None,
    language_model: p.LanguageModel = None,
    language_weight: p.LanguageWeight = None,
    threshold: p.Threshold = None,
    device: p.OnDevice = None,
    threads: p.Threads = None,
) -> Callable[[], int]:
    """Say what a model makes of each x: a label, labels of its steps, numbers, events or a text.

    What takes its time comes as it becomes certain: segments and events of sound and video, labels of rows that
    come by standard input.
    """

    def run() -> int:
        import transducer

        check_threads(threads)
        check_threshold(threshold)
        options = decoding_options(
            search,
            beam=beam,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            length_penalty=length_penalty,
            coverage_penalty=coverage_penalty,
            language_model=language_model,
            language_weight=language_weight,
        )
        if threshold is not None:
            options["threshold"] = threshold
        if output_dir is not None or recursive or files_from or jobs or resume or by_content:
            from transducer.cli.archive.run import Archive, run_predictions

            archive = Archive(tuple(xs or ()), output_dir, recursive, files_from, jobs, resume, by_content, threads)
            return run_predictions(archive, model, options, None if device is None else device.value)
        set_threads(threads)
        loaded = transducer.load(model) if device is None else transducer.load(model, device=device.value)
        loaded.engine(**options)  # an option that is not for this model is told before any x
        return predict_all(loaded, list(xs or ()), json, options)

    return run


def predict_all(model: Model, xs: list[str], as_json: bool, options: dict[str, Any]) -> int:
    """Print a result for each x; returns the exit status: 1 where one failed."""
    failed, several = False, len(xs) > 1
    for given, x in _sources(model, xs):
        try:
            _predict(model, given, x_of(model, x) if isinstance(x, str) else x, as_json, several, options)
        except TransducerError as error:
            report("error", str(error))
            failed = True
    return 1 if failed else 0


def _sources(model: Model, xs: list[str]) -> Iterator[tuple[Any, Any]]:
    """(x as it was given, x as the model takes it); those of tables and of standard input one by one."""
    for x in xs:
        if _is_file(x, ".jsonl"):
            yield from _of_table(model, Path(x))
        else:
            yield x, x
    if xs:
        return
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("there is nothing to predict: give texts, files or numbers, or lines on standard input")
    if model.medium.name == "rows":
        first = sys.stdin.readline()
        if not first:
            return
        if not first.lstrip().startswith("["):
            yield STDIN, _Rows(first)
            return
        yield first.strip(), first.strip()
    for line in sys.stdin:
        if text := line.rstrip("\r\n"):
            yield text, text


def _of_table(model: Model, table: Path) -> Iterator[tuple[Any, Any]]:
    from transducer.data.rows import json_lines, read_text

    for line, row in json_lines(table, read_text(table)):
        if "x" not in row:
            raise UsageError(f"{table}, line {line}: there is no 'x'")
        x = row["x"]
        media = isinstance(x, str) and model.medium.name != "tokens"
        yield x, str(table.parent / x) if media else x


class _Rows:
    """Lines of standard input as an open file, the first of which has been read already."""

    name = "standard input"

    def __init__(self, first: str):
        self._first = first

    def __iter__(self) -> Iterator[str]:
        yield self._first
        yield from sys.stdin

    def read(self) -> str:
        return self._first + sys.stdin.read()

    def close(self) -> None:
        pass


def _is_file(text: str, suffix: str) -> bool:
    """Whether a text is the name of a file of this kind."""
    try:
        return text.lower().endswith(suffix) and Path(text).is_file()
    except (OSError, ValueError):  # a text that is longer than any name
        return False


def x_of(model: Model, text: str) -> Any:
    """What an argument means to a model."""
    medium = model.medium.name
    if medium == "tokens":
        return Path(text) if _is_file(text, ".txt") else text
    if medium == "rows" and text.startswith("["):
        try:
            return json_module.loads(text)
        except ValueError:
            raise UsageError(f"{text[:60]!r} is no list of numbers") from None
    return text


def _predict(model: Model, given: Any, x: Any, as_json: bool, several: bool, options: dict[str, Any]) -> None:
    alone = isinstance(x, str | Path) and model.medium.name != "tokens"  # a file, which may take its time
    live = isinstance(x, _Rows) or x == STDIN
    with model.session(x, keep=True, **options) as session:
        shown = (live or (alone and not as_json)) and session.events_kind not in OF_WHOLES
        if shown and several and not as_json:
            write_stdout(f"==> {given} <==\n")
        for result in session:
            if shown and _final(result):
                write_stdout(_json(_event(result)) if as_json else f"{_line(result)}\n")
        result = session.result()
    for warning in session.warnings:
        report("warning", warning)
    if as_json and not live:
        write_stdout(_json(document(given, result)))
    elif not shown:
        write_stdout(_json(whole(result)) if as_json else f"{_text(result)}\n")


def _json(value: Any) -> str:
    return json_module.dumps(value, ensure_ascii=False) + "\n"


def _final(result: Any) -> bool:
    return getattr(result, "final", True) and (not isinstance(result, Segment) or bool(result.text))


def _is_whole(result: Any) -> bool:
    """Whether it says one thing of all of x."""
    return isinstance(result, Labelling) and result.kind in OF_WHOLES


def _event(result: Event | Segment) -> dict[str, Any]:
    times = {"start": result.start, "end": result.end}
    if isinstance(result, Segment):
        return {**times, "text": result.text}
    if result.values is not None:
        return {**times, "y": _numbers(result.values)}
    return {**times, "label": result.label, "score": round(result.score, 4)}


def _numbers(values: tuple[float, ...]) -> float | list[float]:
    """One number by itself, several as a list, as a table of pairs has them."""
    return values[0] if len(values) == 1 else list(values)


def _line(result: Event | Segment) -> str:
    """A result by itself: the text of a segment; times and label of an event."""
    if isinstance(result, Segment):
        return result.text
    return f"{result.start:g}\t{result.end:g}\t{result.label}"


def _text(result: Transcript | Labelling) -> str:
    """A whole result on one line, or a line an event."""
    if isinstance(result, Transcript):
        return result.text
    if _is_whole(result):
        return result.segments[0].label if result.segments else ""
    if result.kind == "steps":
        return result.text
    if result.kind == "numbers":
        return "\n".join(event.label for event in result.events)
    return "\n".join(map(_line, result.events))


def document(x: Any, result: Transcript | Labelling) -> dict[str, Any]:
    """An x, as it was given, with what was made of it, as JSON data."""
    return {"x": x, **whole(result)}


def whole(result: Transcript | Labelling) -> dict[str, Any]:
    """A whole result as JSON data: y, as a table of pairs has it, and how sure the model is of a label."""
    if isinstance(result, Transcript):
        return {"y": result.text}
    if _is_whole(result):
        scene = result.segments[0] if result.segments else None
        if scene is not None and scene.values is not None:
            return {"y": _numbers(scene.values)}
        return {"y": scene.label if scene else "", "score": round(scene.score, 4) if scene else 0.0}
    if result.kind == "steps":
        return {"y": [event.label for event in result.events]}
    if result.kind == "numbers":
        return {"y": [_numbers(event.values) for event in result.events if event.values is not None]}
    return {"y": [_event(event) for event in result.events]}
