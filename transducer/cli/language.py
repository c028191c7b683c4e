"""`transducer complete` and `transducer score`: what a causal language model says of texts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from transducer.cli import app
from transducer.cli.console import write_stdout

Folder = Annotated[str, typer.Argument(metavar="MODEL", help="A folder with a language model.", show_default=False)]

AsJson = Annotated[bool, typer.Option("--json", help="A line of JSON each.")]


@app.command()
def complete(
    model: Folder,
    prompts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT...", help="Beginnings; lines of standard input if there are none."),
    ] = None,
    search: Annotated[str | None, typer.Option("--search", help="greedy, beam or sample.")] = None,
    beam: Annotated[int | None, typer.Option("--beam", min=1, help="Hypotheses that a beam search keeps.")] = None,
    temperature: Annotated[float | None, typer.Option("--temperature", help="Of sampling; less is safer.")] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", min=1, help="Sample from so many tokens.")] = None,
    top_p: Annotated[
        float | None, typer.Option("--top-p", help="Sample from the tokens that have so much probability together.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of sampling.")] = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Where to stop at the latest.")] = 200,
    as_json: AsJson = False,
) -> Callable[[], int]:
    """Go on with texts, by a causal language model."""
    given = {"beam": beam, "temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    options = {name: value for name, value in given.items() if value is not None}
    if search is None and options:
        search = "beam" if "beam" in options else "sample"

    def run() -> int:
        language = _load(model)
        for prompt in _texts(prompts):
            text = language.complete(prompt, max_tokens, search=search or "greedy", **options)
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
