"""Alignments of what came without, by the frame posteriors of a network's intermediate head."""

from __future__ import annotations

from collections.abc import Container, Iterator

import torch

from pipelines.speech_en.speech import Speech
from pipelines.speech_en.targets import PHONES, Alignment, Targets, read_alignments, write_alignments
from transducer.data.features import FeatureStore
from transducer.heads.ctc import CONDITIONING
from transducer.model.network import Network
from transducer.model.sequence import Aux, set_chunk
from transducer.training.alignment import best_path, runs_of
from transducer.training.context import Context
from transducer.training.encoded import autocast


def realign(context: Context) -> None:
    """`Phase.after`: align every recording that came without, for the phases that follow; all ranks read them from
    one file."""
    speech = context.recipe.train
    assert isinstance(speech, Speech)
    path, phones = context.folder / f"{context.phase.name}.alignments.tsv", context.recipe.units[PHONES]
    if context.ranks.first and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        set_chunk(context.network.encoder, max(context.network.config.chunks))
        bf16 = context.phase.bf16
        made = align_all(context.network, speech.store, speech.spoken, speech.given, bf16=bf16)
        write_alignments(path, dict(made), phones)
    context.ranks.wait()
    speech.spoken.alignments.update(read_alignments(path, phones))


@torch.inference_mode()
def align_all(
    network: Network,
    store: FeatureStore,
    targets: Targets,
    skip: Container[str] = (),
    units: str = PHONES,
    bf16: bool = True,
) -> Iterator[tuple[str, Alignment]]:
    """Align every utterance whose pronunciation is known, at its original speed.

    The topology is CTC's with silence as the blank: silence may stand between any two phones. Features are
    normalised by the network's own front-end statistics.

    Args:
        skip: ids of utterances to leave out.
    """
    network.eval()
    mean, std = network.frontend.mean, network.frontend.std
    variant = int(abs(store.speeds - 1).argmin())
    seconds = network.hop / network.frontend.rate
    for index, utterance in enumerate(store.utterances):
        tokens = None if utterance.id in skip else targets.tokens(utterance.text, units)
        if not tokens:
            continue
        x = torch.from_numpy(store.features(index, variant).copy()).to(mean.device, torch.float32)
        features = ((x - mean) / std)[None]
        with autocast(mean.device, bf16):
            aux: Aux = {}
            network.encoder(features, torch.ones_like(features[..., 0], dtype=torch.bool), aux=aux)
        path = best_path(aux[CONDITIONING][0].float().log_softmax(dim=-1)[0].cpu(), tokens)
        if path is not None:
            labels, first, ends = runs_of(path)
            yield utterance.id, Alignment(labels, first * seconds, ends * seconds)
