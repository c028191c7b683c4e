"""`transducer complete` and `transducer score`: what a causal language model says of texts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from transducer.cli import app
from transducer.cli import parameters as p
from transducer.cli.console import write_stdout
from transducer.cli.options import decoding_options

Folder = Annotated[str, typer.Argument(metavar="MODEL", help="A folder with a language model.", show_default=False)]

AsJson = Annotated[bool, typer.Option("--json", help="A line of JSON each.")]


@app.command()
def complete(
    model: Folder,
    prompts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT...", help="Beginnings; lines of standard input if there are none."),
    ] = None,
    search: p.SearchChoice = None,
    beam: p.Beam = None,
    temperature: p.Temperature = None,
    top_k: p.TopK = None,
    top_p: p.TopP = None,
    seed: p.Seed = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Where to stop at the latest.")] = 200,
    as_json: AsJson = False,
) -> Callable[[], int]:
    """Go on with texts, by a causal language model."""
    options = decoding_options(search, beam=beam, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)

    def run() -> int:
        language = _load(model)
        for prompt in _texts(prompts):
            text = language.complete(prompt, max_tokens, **options)
            _write({"prompt": prompt, "completion": text} if as_json else prompt + text)
        return 0

    return run


@app.command()
def score(
    model: Folder,
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT...", help="Texts; without any, lines of standard input.")
    ] = None,
    as_json: AsJson = False,
) -> Callable[[], int]:
    """Say how probable texts are: log-probability and perplexity of each, by a causal language model."""

    def run() -> int:
        language = _load(model)
        for text in _texts(texts):
            found = language.score(text)
            facts = {"text": text, "log_prob": round(found.log_prob, 4), "perplexity": round(found.perplexity, 4)}
            _write(facts if as_json else f"{found.log_prob:10.3f}  {found.perplexity:8.3f}  {text}")
        return 0

    return run


def _load(model: str) -> Any:
    import transducer

    return transducer.load(model).language_model()


def _texts(given: list[str] | None) -> Iterable[str]:
    return given if given else (line.rstrip("\n") for line in sys.stdin)


def _write(line: str | dict[str, Any]) -> None:
    write_stdout((line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)) + "\n")
