"""How well marks and cases are found, and what trivial rules get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipelines.punctuation.novels import Text
from transducer.heads.head import IGNORE
from transducer.text.readable.labels import CAPITALISED, LOWER, MARKS, SENTENCE_ENDS, best_marks


def decide(marks: np.ndarray, cases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities -> the mark and the case of every word, capitals where a sentence begins."""
    mark, case = best_marks(marks), cases.argmax(1)
    begins = np.concatenate([[True], np.isin(mark[:-1], SENTENCE_ENDS)])
    return mark, np.where(begins, np.maximum(case, CAPITALISED), case)


def true_cases(text: Text) -> np.ndarray:
    """Cases with capitals where sentences begin; IGNORE is left where it is inside a sentence."""
    begins = np.concatenate([[True], np.isin(text.marks[:-1], SENTENCE_ENDS)])
    return np.where(begins, CAPITALISED, text.cases)


def rules(text: Text, types: Sequence[str], seen: Text) -> tuple[np.ndarray, np.ndarray]:
    """What needs no network, to compare with: a full stop every 15 words, a comma before "and" and "but", and a
    capital for every word that mostly has one inside the sentences of `seen`."""
    marks = np.zeros(len(text), dtype=int)
    marks[14::15] = MARKS.index(".")
    joins = np.isin(text.words, [number for number, word in enumerate(types) if word in ("and", "but")])
    marks[np.append(joins[1:], False) & (marks == 0)] = MARKS.index(",")
    capital, small = (
        np.bincount(seen.words[kind], minlength=len(types)) for kind in (seen.cases > LOWER, seen.cases == LOWER)
    )
    begins = np.insert(marks[:-1] == MARKS.index("."), 0, True)
    return marks, np.where(begins | (capital > small)[text.words], CAPITALISED, LOWER)


def f1(found: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    right = int((found & wanted).sum())
    precision, recall = right / max(int(found.sum()), 1), right / max(int(wanted.sum()), 1)
    score = 2 * precision * recall / max(precision + recall, 1e-9)
    return {"precision": round(precision, 4), "recall": round(recall, 4), "f1": round(score, 4)}


def measure(found: tuple[np.ndarray, np.ndarray], text: Text) -> dict[str, dict[str, float]]:
    """F1 of every mark, of any mark, of sentence ends wherever any of . ? ! stands, and of capitals."""
    marks, cases = found
    wanted = true_cases(text)
    spelled, truth = np.array(MARKS)[marks], np.array(MARKS)[text.marks]
    result = {mark: f1(spelled == mark, truth == mark) for mark in dict.fromkeys(MARKS) if mark}
    result["any mark"] = f1(marks > 0, text.marks > 0)
    result["sentence end"] = f1(np.isin(spelled, list(".?!")), np.isin(truth, list(".?!")))
    known = wanted != IGNORE
    result["capital"] = f1((cases > LOWER) & known, (wanted > LOWER) & known)
    inside = text.cases != IGNORE
    result["capital inside a sentence"] = f1((cases > LOWER) & inside, (text.cases > LOWER) & inside)
    result["case"] = {"accuracy": round(float((cases == wanted)[known].mean()), 4)}
    return result


def summary(scores: dict[str, dict[str, float]]) -> str:
    """F1 of each, and the accuracy of cases, on a line."""
    return ", ".join(f"{key} {list(value.values())[-1]:.3f}" for key, value in scores.items())


def with_errors(text: Text, rate: float, seed: int = 0) -> Text:
    """Words as a recogniser may get them: `rate` of them replaced by others, marks and cases left as they are."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(text)) < rate
    return replace(text, words=np.where(wrong, rng.permutation(text.words), text.words))
