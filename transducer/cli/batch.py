"""`transducer batch`: an archive on a cluster of machines, or on this one, by Ray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import typer

from transducer.cli import app
from transducer.cli import parameters as p
from transducer.cli.console import report
from transducer.errors import UsageError


@app.command()
def batch(
    manifest: Annotated[
        str,
        typer.Argument(
            metavar="MANIFEST",
            help="A list of files and addresses: a path a line, TSV with a column path, or JSON lines; itself a path "
            "or an address (s3://...).",
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="The folder, or its address, for the results.")
    ],
    model: p.Model = p.DEFAULT_MODEL,
    format: Annotated[str, typer.Option("--format", help="jsonl or parquet.")] = "jsonl",
    address: Annotated[
        str | None, typer.Option("--address", help="The Ray cluster to join; without it, one starts on this machine.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Workers: as many as the cluster has room for if not given.")
    ] = None,
    cpus: Annotated[
        float, typer.Option("--cpus", min=0, help="CPUs that each worker takes; whole ones are its threads.")
    ] = 1.0,
    gpus: Annotated[
        float, typer.Option("--gpus", min=0, help="GPUs that each worker takes; 0.5 puts two on one.")
    ] = 0.0,
    retries: Annotated[
        int, typer.Option("--retries", min=0, help="How often an address is tried again that cannot be read.")
    ] = 2,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on: leave out what has a result in the folder already.")
    ] = False,
    search: p.SearchChoice = None,
    beam: p.Beam = None,
    chunk_ms: p.ChunkMs = None,
    hotwords: p.Hotwords = None,
    language: p.Language = None,
    task: p.TaskChoice = None,
    prompt: p.Prompt = None,
    second_pass: p.SecondPass = None,
    threshold: p.Threshold = None,
) -> Callable[[], int]:
    """Transcribe or label an archive on many machines: one row a file, with the fields of --format json.

    The exit status is 1 where files failed, and 3 where parts of some could not be read.
    """

    def run() -> int:
        from transducer.archive.cluster import Pool
        from transducer.archive.model_work import Settings
        from transducer.archive.parts import FORMATS
        from transducer.cli.options import WordJob, check_threshold, word_options

        if format not in FORMATS:
            raise UsageError(f"unknown format {format!r}: there are {', '.join(FORMATS)}")
        check_threshold(threshold)
        job = WordJob(
            search=search,
            beam=beam,
            chunk_ms=chunk_ms,
            hotwords=hotwords,
            language=language,
            task=task,
            prompt=prompt,
            second_pass=second_pass,
        )
        options: dict[str, Any] = word_options(job)
        if threshold is not None:
            options["threshold"] = threshold
        device = "cuda" if gpus else "cpu"
        settings = Settings(model, options, device, threads=max(1, int(cpus)), retries=retries)
        return work_off(manifest, output, format, settings, Pool(workers, cpus, gpus), address, resume)

    return run


def work_off(
    manifest: str, output: str, format: str, settings: Any, pool: Any, address: str | None, resume: bool
) -> int:
    """Everything in a list that has no result yet; returns the exit status."""
    from transducer.archive.cluster import find_ray, joined, outcomes
    from transducer.archive.listed import missing
    from transducer.archive.parts import Parts
    from transducer.archive.summary import FAILED
    from transducer.cli.archive.progress import Progress

    find_ray()
    kind = replace(settings, device="cpu").start().result  # what cannot be meant is told before anything is started
    with Parts(output, format, kind, resume) as parts, joined(address) as ray, Progress() as progress:
        progress.skip(len(parts.known))
        found = outcomes(manifest, parts.known, settings, pool, ray)
        for number, fields in enumerate(found):
            if number == 0 and progress.shown:  # the workers are busy: there is time for it
                progress.expect(1 + sum(1 for _ in missing(manifest, parts.known)))
            parts.add(fields)
            progress.finish(None, fields["status"], fields["duration"])
            if fields["status"] == FAILED:
                report("error", fields["error"])
    progress.tell()
    return progress.exit_status
