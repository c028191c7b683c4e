"""Several channels -> one: their mean, but not where it would cancel or drown what they hold.

In channels of opposite phase (a cable wired the wrong way round) the mean of a voice is silence, and one voice among
many open channels (a mixing desk, a recorder of many tracks) is lost among their noise. So channels that run against
the first one are turned round, and of more than two channels those count that are not far below the loudest. Loud is
what comes and goes, as speech does, over a channel's own floor: steady noise counts only where there is nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 0.04  # seconds; weights move from one block to the next
_MEMORY = 1.0  # seconds over which channels are compared
_RELEASE = 10.0  # dB a second by which the loudness that a channel had is forgotten
_JOIN, _LEAVE = 1e-2, 10**-2.6  # of the loudest channel's energy: 20 and 26 dB below
_AGAINST, _ALONG = -0.8, -0.5  # correlations from which on a channel is turned round, and back
_NOTHING = 1e-12  # energy of silence
_RISE = 1.0  # dB a second by which a channel's floor rises, if its energy does not come down to it
_OVER_FLOOR = 4.0  # times the floor: steady noise stays below


class Mixer:
    """The channels of one sound as they follow each other, mixed causally and bit for bit the same in any pieces.

    Weights are taken from whole blocks, counted from the first sample of so many channels, and used for the next one.
    """

    def __init__(self) -> None:
        self._shape = (0, 0)  # channels, samples a block
        self._filled = 0  # samples of the current block
        self._old = self._new = np.ones(1)  # weights at its start and its end

    def mix(self, channels: NDArray[Any], rate: int) -> NDArray[np.float32]:
        """(C, N) -> (N,)."""
        count = len(channels)
        if count == 1:
            return channels[0].astype(np.float32, copy=False)
        if self._shape != (count, round(BLOCK * rate)):
            self._restart(count, round(BLOCK * rate))
        size = self._shape[1]
        mixed, place = [np.zeros(0, np.float32)], 0
        while place < channels.shape[1]:
            piece = channels[:, place : place + size - self._filled]
            mixed.append(self._weigh(piece))
            self._block[:, self._filled : self._filled + piece.shape[1]] = piece
            self._filled += piece.shape[1]
            place += piece.shape[1]
            if self._filled == size:
                self._old, self._filled = self._new, 0
                self._new = self._compare()
        return np.concatenate(mixed)

    def _restart(self, count: int, size: int) -> None:
        self._shape = count, size
        self._block = np.zeros((count, size), np.float32)
        self._filled = 0
        self._before = np.zeros((count, 1), np.float32)
        self._even = np.full(count, 1 / count)
        self._old = self._new = self._even
        self._peaks = np.zeros(count)
        self._floors = np.full(count, np.inf)
        self._products = np.zeros((count, count))
        self._live = np.ones(count, bool)
        self._signs = np.ones(count)
        self._forget = float(np.exp(-BLOCK / _MEMORY)), 10 ** (-_RELEASE * BLOCK / 10)
        self._rise = 10 ** (_RISE * BLOCK / 10)
        self._ramp = np.arange(1, size + 1) / size

    def _weigh(self, piece: NDArray[Any]) -> NDArray[np.float32]:
        if self._old is self._even and self._new is self._even:
            total = piece[0].copy()
            for x in piece[1:]:
                total += x
            total /= len(piece)
            return total.astype(np.float32, copy=False)
        ramp = self._ramp[self._filled : self._filled + piece.shape[1]]
        total = np.zeros(piece.shape[1])
        for x, old, new in zip(piece, self._old, self._new, strict=True):
            if old or new:
                total += x * (old + (new - old) * ramp)
        return total.astype(np.float32)

    def _compare(self) -> NDArray[np.float64]:
        """The weights that the block which is full asks for."""
        # Differences, which leave out rumble and bass: voices are to be compared.
        steps = np.diff(self._block, axis=1, prepend=self._before)
        self._before = self._block[:, -1:].copy()
        products = (steps @ steps.T).astype(np.float64) / steps.shape[1]
        energies = np.diag(products)
        if energies.max() < _NOTHING:
            return self._new
        memory, release = self._forget
        self._products = products if not self._products.any() else memory * self._products + (1 - memory) * products
        self._peaks = np.maximum(energies, self._peaks * release)
        self._floors = np.minimum(energies, self._floors * self._rise)
        if len(energies) > 2:
            lively = np.maximum(self._peaks - _OVER_FLOOR * self._floors, 0)
            heard = lively if lively.any() else self._peaks
            self._live = heard >= heard.max() * np.where(self._live, _LEAVE, _JOIN)
        norms = np.sqrt(np.maximum(np.diag(self._products), _NOTHING))
        first = int(np.argmax(self._live))
        likeness = self._products[first] / (norms[first] * norms)
        signs = self._signs * self._signs[first]
        signs = np.where(likeness < _AGAINST, -1.0, np.where(likeness > _ALONG, 1.0, signs))
        # Whichever channel is the first one: what is heard does not turn round.
        self._signs = -signs if (signs * self._signs * self._live).sum() < 0 else signs
        if self._live.all() and (self._signs > 0).all():
            return self._even
        return self._live * self._signs / self._live.sum()
