"""Published models that are known by a short name."""

from __future__ import annotations

from typing import NamedTuple


class Known(NamedTuple):
    """A model of the Hugging Face hub.

    Attributes:
        name, repository: what it is called here, and there.
        revision: the commit that is fetched, whatever is changed there later.
        megabytes: to fetch.
        languages: of the speech.
        error: percentage of words wrong, as those who published it say; "" where that is not known here.
    """

    name: str
    repository: str
    revision: str
    megabytes: int
    languages: str
    error: str = ""
    licence: str = "Apache-2.0"


_CARD = "% on LibriSpeech test-clean, by its card"
_MANY = "99 languages"

KNOWN = (
    Known("whisper-tiny", "openai/whisper-tiny", "169d4a4341b33bc18d8881c4b69c2e104e1cc0af", 155, _MANY),
    Known(
        "whisper-tiny.en",
        "openai/whisper-tiny.en",
        "87c7102498dcde7456f24cfd30239ca606ed9063",
        155,
        "English",
        f"8.4 {_CARD}",
    ),
    Known("whisper-base", "openai/whisper-base", "e37978b90ca9030d5170a5c07aadb050351a65bb", 294, _MANY),
    Known("whisper-base.en", "openai/whisper-base.en", "911407f4214e0e1d82085af863093ec0b66f9cd6", 294, "English"),
    Known(
        "whisper-small", "openai/whisper-small", "973afd24965f72e36ca33b3055d56a652f456b4d", 970, _MANY, f"3.4 {_CARD}"
    ),
    Known(
        "whisper-small.en",
        "openai/whisper-small.en",
        "e8727524f962ee844a7319d92be39ac1bd25655a",
        970,
        "English",
        f"3.1 {_CARD}",
    ),
    Known("whisper-medium", "openai/whisper-medium", "abdf7c39ab9d0397620ccaea8974cc764cd0953e", 3060, _MANY),
    Known("whisper-medium.en", "openai/whisper-medium.en", "2e98eb6279edf5095af0c8dedb36bdec0acd172b", 3060, "English"),
    Known("whisper-large-v2", "openai/whisper-large-v2", "ae4642769ce2ad8fc292556ccea8e901f1530655", 6177, _MANY),
    Known(
        "whisper-large-v3", "openai/whisper-large-v3", "06f233fe06e710322aca913c1bc4249a0d71fce1", 3091, "100 languages"
    ),
    Known(
        "whisper-large-v3-turbo",
        "openai/whisper-large-v3-turbo",
        "41f01f3fe87f28c78e2fbf8b568835947dd65ed9",
        1622,
        "100 languages",
        licence="MIT",
    ),
    Known(
        "distil-whisper-medium.en",
        "distil-whisper/distil-medium.en",
        "6e61418885eaf4d5cc9f64e508e80ac5b4c052b7",
        792,
        "English",
        licence="MIT",
    ),
    Known(
        "distil-whisper-large-v2",
        "distil-whisper/distil-large-v2",
        "97d2c8f9cae1b0f6c8fc2e173495ee4cedc05843",
        1516,
        "English",
        licence="MIT",
    ),
    Known(
        "distil-whisper-large-v3",
        "distil-whisper/distil-large-v3",
        "8031d2e6ce6631b7fc45629dddfc00271116d981",
        1516,
        "English",
        licence="MIT",
    ),
)


def known(name: str) -> Known | None:
    """The model of a short name, or of a repository."""
    return next((model for model in KNOWN if name in (model.name, model.repository)), None)
