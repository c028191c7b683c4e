"""What a list of hotwords brings for its words, and what it costs the others.

    python bench/hotwords.py TABLE.tsv NAMES.txt [--weights 2 4 6 8] [--model speech-en] [--decoys TEXT] [--json]

NAMES.txt is a list as for `--hotwords`, whose weights are replaced. For no list and for each weight: how many of the
references' listed words are found (recall), how often one is written where it was not said, and the word error rate of
all other words (their deletions and substitutions, and insertions of words that are not on the list). `--decoys FILE`
adds the words of another list, none of which should occur: a user's list is mostly of such.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import jiwer
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import transducer
from transducer.data.table import read_table
from transducer.search.hotwords import read_hotwords
from transducer.text.english.normalise import normalise


def count(references: list[str], hypotheses: list[str], listed: set[str]) -> dict[str, float]:
    """Recall and false alarms of the listed words, the error rate of the rest."""
    said = found = false = others = errors = 0
    result = jiwer.process_words(references, hypotheses)
    for alignment, truth, guess in zip(result.alignments, result.references, result.hypotheses, strict=True):
        for part in alignment:
            reference = truth[part.ref_start_idx : part.ref_end_idx]
            hypothesis = guess[part.hyp_start_idx : part.hyp_end_idx]
            names = [word for word in reference if word in listed]
            said += len(names)
            others += len(reference) - len(names)
            if part.type == "equal":
                found += len(names)
            else:
                false += sum(word in listed for word in hypothesis)
                errors += len(reference) - len(names)
                errors += sum(word not in listed for word in hypothesis) if part.type == "insert" else 0
    return {"said": said, "recall": found / max(said, 1), "false": false, "wer_others": errors / max(others, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("names")
    parser.add_argument("--weights", type=float, nargs="+", default=[2.0, 4.0, 6.0, 8.0])
    parser.add_argument("--decoys")
    parser.add_argument("--model", default="speech-en")
    parser.add_argument("--second-pass", help="a model that writes finals; none for none; the model's own if not given")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, utterances = transducer.load(options.model), read_table(options.table, needs="text").items
    names = [hotword.phrase for hotword in read_hotwords(options.names)]
    decoys = [hotword.phrase for hotword in read_hotwords(options.decoys)] if options.decoys else []
    references = [normalise(utterance.text) for utterance in utterances]
    results, chosen = {}, {"search": "beam", "second_pass": options.second_pass}
    with Progress(console=Console(stderr=True)) as progress:
        for weight in progress.track([0.0, *options.weights], description="weights"):
            hotwords = [(phrase, weight) for phrase in names + decoys] if weight else ()
            heard = [
                normalise(model.transcribe(utterance.path, hotwords=hotwords, **chosen).text)
                for utterance in progress.track(utterances, description=f"weight {weight:g}")
            ]
            results[weight] = count(references, heard, set(names + decoys))
    if options.json:
        print(json.dumps({f"{weight:g}": result for weight, result in results.items()}))
        return
    said = next(iter(results.values()))["said"]
    table = Table(
        "weight",
        "recall",
        "written where not said",
        "WER of the others",
        title=f"{len(names)} words, said {said} times",
    )
    for weight, result in results.items():
        name = f"{weight:g}" if weight else "no list"
        table.add_row(name, f"{result['recall']:.0%}", str(result["false"]), f"{100 * result['wer_others']:.2f} %")
    Console().print(table)


if __name__ == "__main__":
    main()
