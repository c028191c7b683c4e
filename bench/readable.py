"""Capitals and punctuation of what a speech model writes, against texts that have them.

    python bench/readable.py TABLE.tsv [--join 10] [--model speech-en] [--second-pass NAME] [--json]

TABLE.tsv has the columns `path` and `text`; so many recordings in a row are one stream, as the clips are that were cut
from one reading. F1 is of sentence ends (. ? !) and of commas, both after words that were heard as the reference has
them; right cases are the share of these words whose letters are those of the reference. A word that was heard wrong
counts in the word error rate alone, and marks after a word that has a semicolon or a colon in the reference are left
aside: what stands in their place today may be either.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path

import jiwer
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

import transducer
from transducer.data.table import read_table
from transducer.media import read_audio
from transducer.text.english.normalise import normalise

RATE = 16000
MARKS = {"sentence ends": ".?!", "commas": ","}


def spoken(text: str) -> list[tuple[str, str]]:
    """The words of a text, each as it is compared and as it is written; what is no word goes with the one before."""
    words: list[tuple[str, str]] = []
    for written in text.replace("-", " ").split():
        if plain := normalise(written):
            words.append((plain, written))
        elif words:
            words[-1] = (words[-1][0], words[-1][1] + written)
    return words


def compare(reference: str, heard: str) -> Counter[str]:
    """How many marks there are, were written, and are right; words in both texts, and those in the right case."""
    counts: Counter[str] = Counter()
    truth, found = spoken(reference), spoken(heard)
    plain, heard_plain = ([word for word, _ in words] for words in (truth, found))
    for block in SequenceMatcher(None, plain, heard_plain, autojunk=False).get_matching_blocks():
        for wanted, written in zip(truth[block.a :][: block.size], found[block.b :][: block.size], strict=True):
            counts["words"] += 1
            counts["cases"] += letters(wanted[1]) == letters(written[1])
            if mark(wanted[1], ";:"):
                continue
            for name, marks in MARKS.items():
                there, set_down = (mark(word[1], marks) for word in (wanted, written))
                both = there and set_down
                counts.update({f"{name}, there": there, f"{name}, written": set_down, f"{name}, right": both})
    return counts


def letters(word: str) -> str:
    return "".join(filter(str.isalnum, word))


def mark(word: str, marks: str) -> bool:
    """Whether one of the marks follows the word; quotation marks and brackets may stand between."""
    return any(sign in marks for sign in word[len(word.rstrip("\"'”’)].,?!;:—…")) :])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--join", type=int, default=10, help="recordings in a row that are one stream")
    parser.add_argument("--model", default="speech-en")
    parser.add_argument("--second-pass", help="a model that writes finals; none for none; the model's own if not given")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, items = transducer.load(options.model), read_table(options.table, needs="text").items
    counts: Counter[str] = Counter()
    references, heard = [], []
    for start in track(range(0, len(items), options.join), console=Console(stderr=True)):
        group = items[start : start + options.join]
        samples = np.concatenate([read_audio(item.path, RATE) for item in group])
        references.append(" ".join(item.text for item in group))
        heard.append(model.transcribe([samples], second_pass=options.second_pass).text)
        counts += compare(references[-1], heard[-1])
    result = {
        name: 2 * counts[f"{name}, right"] / max(1, counts[f"{name}, there"] + counts[f"{name}, written"])
        for name in MARKS
    }
    result["right cases"] = counts["cases"] / max(1, counts["words"])
    result["word error rate"] = jiwer.wer([normalise(text) for text in references], [normalise(text) for text in heard])
    if options.json:
        print(json.dumps(result | dict(counts)))
        return
    grid = Table("what", "share", title=f"{len(items)} recordings, {counts['words']} words that were heard right")
    for name, value in result.items():
        grid.add_row(f"F1 of {name}" if name in MARKS else name, f"{value:.3f}")
    Console().print(grid)


if __name__ == "__main__":
    main()
