"""One label for a text: what somebody wants of a voice assistant.

    transducer train pipelines/intent.py --output runs/intent
    transducer predict runs/intent/intents "could you wake me up at half past nine please"

Utterances are put together from paraphrases and from slots. What is measured says things with names, titles, places and
times that were never in training, some of which sound like another intent ("play call me tonight"); `--set part=dev`
while settings are tuned.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from transducer.cores.recurrent import RecurrentConfig
from transducer.data.sequences import Sequences
from transducer.encoders.window import WindowConfig
from transducer.frontends.symbols import SymbolsConfig
from transducer.heads.pooled import PooledConfig
from transducer.model.config import ModelConfig
from transducer.search.events.rules import EventRules
from transducer.text.tokenizers.labels import Labels
from transducer.text.tokenizers.symbols import Symbols
from transducer.training.checks import check_part
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe

INTENTS = {
    "alarm": ["set an alarm for {time}", "wake me up at {time}", "make sure i am awake by {time}", "alarm at {time}"],
    "timer": ["set a timer for {span}", "count down {span}", "tell me when {span} are over", "start a timer of {span}"],
    "music": ["play {title}", "put on {title} by {name}", "i want to hear {title}", "play something by {name}"],
    "weather": ["what is the weather in {place}", "will it rain in {place} {day}", "how warm is it in {place}",
                "do i need a coat in {place} {day}"],
    "lights on": ["turn on the lights in the {room}", "lights on in the {room}", "make the {room} brighter",
                  "it is too dark in the {room}"],
    "lights off": ["turn off the lights in the {room}", "lights off in the {room}", "make the {room} dark",
                   "switch the lights in the {room} off"],
    "call": ["call {name}", "phone {name}", "i want to talk to {name}", "get {name} on the line"],
    "message": ["tell {name} that {title}", "write {name} that i will be there at {time}", "send {name} a message",
                "text {name} that {title}"],
    "shopping": ["put {thing} on the list", "we need {thing}", "add {thing} to my shopping list",
                 "remind me to buy {thing}"],
    "route": ["how do i get to {place}", "take me to {place}", "show me the way to {place}", "drive to {place} {day}"],
}  # fmt: skip
BEFORE = [
    "",
    "",
    "please",
    "could you",
    "hey",
    "i would like you to",
    "can you",
    "listen",
    "okay now",
    "be so kind and",
]
AFTER = ["", "", "please", "thanks", "now", "if you can", "right away", "will you", "as soon as possible"]
# What is known in training, and what is said when it is measured: of the dev part, and of the test part.
SLOTS = {
    "time": ("six o'clock|half past seven|eight fifteen|noon|ten to nine|midnight",
             "quarter past four|five thirty", "half past nine|eleven o'clock"),
    "span": ("five minutes|ten minutes|an hour|half an hour|thirty seconds|two hours",
             "twelve minutes|three hours", "forty seconds|eight minutes"),
    "title": ("yellow river|the morning song|lights of the city|rain on me|take the train|i am late|time to go",
              "the alarm rings|wake the town", "call me tonight|turn off your heart|the weather is fine"),
    "name": ("anna|ben|my mother|doctor miller|carla jones|the rolling stars|uncle bob|the office",
             "peter|aunt mary", "grandmother|the night owls|mister wong"),
    "place": ("london|berlin|the station|new york|the airport|my office|paris|the harbour",
              "seoul|the museum", "lisbon|the old town|the music hall"),
    "day": ("today|tomorrow|on monday|tonight|at the weekend", "on sunday|this evening", "on friday|next week"),
    "room": ("kitchen|bedroom|hall|bathroom|living room|cellar", "garage|study", "attic|dining room"),
    "thing": ("milk|bread and butter|two apples|coffee|soap|rice|a light bulb|tea",
              "onions|an alarm clock", "batteries|some flour|music paper"),
}  # fmt: skip
PARTS = {"train": 0, "dev": 1, "test": 2}


def recipe(
    data: Path,
    quick: bool = False,
    *,
    channels: int = 64,
    utterances: int = 6000,
    held_out: int = 1000,
    part: str = "test",
    forget: float = 0.1,
    steps: int = 250,
    batch_frames: int = 1000,
    learning_rate: float = 3e-3,
    seed: int = 1,
) -> Recipe:
    """Embeddings of words, windows of five over them, a GRU, and the mean.

    Args:
        data: is not read.
        utterances: to train on. held_out: to measure on.
        part: which utterances are measured, "dev" or "test".
        forget: share of the words that are taken for unknown ones in training.
    """
    check_part(part)
    train = make(300 if quick else utterances, "train")
    words = Symbols(sorted({word for text, _ in train for word in text.split()}))
    intents = Labels(INTENTS)
    phase = Phase(
        "train",
        20 if quick else steps,
        (HeadLoss("intents"),),
        batch_frames=batch_frames,
        learning_rate=learning_rate,
        average_decay=0.98,
    )
    return Recipe(
        name="intents",
        model=ModelConfig(
            frontend=SymbolsConfig(len(words), "words", channels, forget),
            encoder=WindowConfig(2, 2, 0.2),
            core=RecurrentConfig("gru", channels, 1, 0.2),
            heads={"intents": PooledConfig("intents")},
            events=EventRules("clip"),
            chunks=(1,),
            language="en",
        ),
        units={"words": words, "intents": intents},
        train=pairs(train, words, intents, "utterances"),
        dev=pairs(make(100 if quick else held_out, part), words, intents, f"utterances with unseen slots ({part})"),
        phases=(phase,),
        seed=seed,
        workers=0,
        evaluate_every=25,
        save_every=200,
    )


def pairs(utterances: list[tuple[str, str]], words: Symbols, intents: Labels, title: str) -> Sequences:
    """Utterances as examples: word numbers (T, 1), 0 for words that were never seen, and the number of the intent."""
    x = [np.array(words.encode_known(text), np.float32)[:, None] for text, _ in utterances]
    return Sequences(x, [intents.id(intent) for _, intent in utterances], [text for text, _ in utterances], title)


def make(count: int, part: str) -> list[tuple[str, str]]:
    """Utterances and their intents; their slots are those of this part alone."""
    rng = np.random.default_rng(PARTS[part])
    return [utterance(rng, part) for _ in range(count)]


def utterance(rng: np.random.Generator, part: str) -> tuple[str, str]:
    def one(choices: list[str]) -> str:
        return choices[int(rng.integers(len(choices)))]

    intent = one(list(INTENTS))
    slots = {name: one(values[PARTS[part]].split("|")) for name, values in SLOTS.items()}
    said = one(INTENTS[intent]).format(**slots)
    return " ".join(f"{one(BEFORE)} {said} {one(AFTER)}".split()), intent
