"""Sounds with timestamps -> samples that follow each other without gaps, at the times a player shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import numpy as np

from transducer.media.audio.samples import Sound
from transducer.media.io.decoding import Damage
from transducer.media.io.timing import UNKNOWN, Length

# Timestamps of sound in real files jitter by a few ms, so small steps are left alone unless they last.
JUMP = 0.04  # seconds: a step of at least this is real
STEP = 0.005  # seconds: a step of at least this is real if it lasts for LASTING frames
LASTING = 16
GAP_WORTH_TELLING = 0.1  # seconds
RESTART = 1.0  # seconds back: the clock was set anew, nothing overlaps
CUT_SHORT = 0.25  # seconds that may be missing at the end before it's worth a warning
_OVERLAPS = 8  # frames in a row that overlap the one before: the timestamps are wrong
_PADDING = 4096  # samples by which an encoder may fill up its last frame


def drop_lone_jumps(sounds: Iterable[Sound | Damage]) -> Iterator[Sound | Damage]:
    """Take the timestamp from a sound whose neighbours agree on another one: it is damaged, the clock didn't jump.

    Lazy; waits for the next sound only where a timestamp jumps by more than a second.
    """
    end: float | None = None  # seconds, by the timestamp of the last sound
    waiting: list[Sound | Damage] = []
    for sound in sounds:
        if isinstance(sound, Damage) or sound.pts is None:
            if waiting:
                waiting.append(sound)
            else:
                yield sound
            continue
        assert sound.tick is not None
        start = sound.pts * sound.tick.numerator / sound.tick.denominator
        seconds = len(sound.samples) / sound.rate
        if waiting:
            held = waiting[0]
            assert isinstance(held, Sound) and end is not None
            expected = end + sum(len(s.samples) / s.rate for s in waiting if isinstance(s, Sound))
            if abs(start - expected) < RESTART:
                held, end = held._replace(pts=None), expected
            else:
                end = start
            yield held
            yield from waiting[1:]
            waiting = []
        if end is not None and abs(start - end) > RESTART:
            waiting = [sound]
            continue
        yield sound
        end = start + seconds
    yield from waiting


class Timeline:
    """Puts sounds where their timestamps say: gaps become silence, overlaps are cut, jitter is left alone.

    Args:
        warn: takes one line for each place that is not as it should be.
        origin: the timestamp that is second 0; None: the first one.
        length: what is known of how long the sound is.
        trim: what the last frame holds behind the end is padding.
        counted: timestamps are FFmpeg's, which counts frames at the first one's rate.
        trusted: timestamps count at all.
        base: seconds before it, of what it is strung behind; `origin` and `length` are its own.
    """

    def __init__(
        self,
        warn: Callable[..., None],
        origin: Fraction | None = None,
        length: Length = UNKNOWN,
        trim: bool = False,
        counted: bool = False,
        trusted: bool = True,
        base: Fraction = Fraction(0),
    ):
        self._warn = warn
        self._origin = None if origin is None else origin - base
        self._length = length._replace(
            end=None if length.end is None else length.end + base,
            latest=None if length.latest is None else length.latest + base,
        )
        self._end = self._length.end
        self._trim = trim and self._end is not None
        self._counted = counted
        self._base = base  # where the current sampling rate begins
        self._rate = 0
        self._count = 0  # samples since then
        self._clock: tuple[Fraction, int, int, int] | None = None  # see _ahead
        self._heard = False
        self._cutting = False  # the whole last sound lay before the end of what was given
        self._damage: Damage | None = None
        self._steps: list[int] = []
        self._overlaps = 0
        self._trusted = trusted
        self._tail: Sound | None = None

    @property
    def position(self) -> Fraction:
        """Seconds of sound given so far."""
        return self._base + Fraction(self._count, self._rate) if self._rate else self._base

    @property
    def failure(self) -> str:
        """Why there is nothing at all, if there is a reason."""
        if self._heard or self._damage is None:
            return ""
        reason = self._damage.reason
        return f"reading stopped: {reason}" if reason else "is damaged so that none of its sound can be decoded"

    def place(self, sounds: Iterable[Sound | Damage]) -> Iterator[tuple[int, np.ndarray]]:
        """Lazily: (rate, samples) that follow each other. Silence comes in pieces of at most a second."""
        for sound in drop_lone_jumps(sounds):
            if isinstance(sound, Damage):
                # The first place of damage counts; what stops the reading altogether has a reason.
                self._damage = sound if self._damage is None or sound.reason else self._damage
                continue
            if self._tail is not None:  # more came behind it, so it was no padding
                yield self._give(self._tail.samples)
                self._tail, self._trim = None, False
            if sound.rate != self._rate:
                self._trusted = self._trusted and not (self._counted and self._rate)
                self._base, self._rate, self._count = self.position, sound.rate, 0
                self._clock = None
                self._steps.clear()
            yield from self._place(sound)
        self._finish()

    def _place(self, sound: Sound) -> Iterator[tuple[int, np.ndarray]]:
        samples = sound.samples
        step = self._step(sound)
        if step > 0:
            for start in range(0, step, self._rate):
                yield self._give(np.zeros(min(self._rate, step - start), np.float32))
        elif step < 0:
            samples = samples[-step:]
        self._cutting = -step >= len(sound.samples) > 0
        self._damage = None
        self._heard = self._heard or not self._cutting
        if self._trim:
            assert self._end is not None
            beyond = self._count + len(samples) - round((self._end - self._base) * self._rate)
            if 0 < beyond <= min(_PADDING, len(samples)):
                self._tail = sound._replace(samples=samples[-beyond:])
                samples = samples[:-beyond]
        if len(samples):
            yield self._give(samples)

    def _give(self, samples: np.ndarray) -> tuple[int, np.ndarray]:
        self._count += len(samples)
        return self._rate, samples

    def _step(self, sound: Sound) -> int:
        """Samples to fill (positive) or to cut (negative) before this sound."""
        if sound.pts is None or not self._trusted:
            self._tell_damage(0)
            return 0
        ahead = self._ahead(sound)
        seconds = ahead / self._rate
        if not self._is_plausible(seconds):
            assert self._origin is not None
            self._origin += Fraction(ahead, self._rate)
            self._clock = None
            self._tell_damage(0)
            if self._heard:
                self._warn(f"timestamps jump by {seconds:+.2f} s at {float(self.position):.2f} s; taken as going on")
            return 0
        assert sound.tick is not None
        step = self._real_step(ahead, sound.tick)
        partly = -len(sound.samples) < step < 0
        self._overlaps = self._overlaps + 1 if partly else 0 if step == 0 else self._overlaps
        if self._overlaps > _OVERLAPS:
            self._trusted = False
            self._warn(f"timestamps contradict each other; from {float(self.position):.2f} s they are left aside")
            return 0
        if step or self._damage is not None:
            self._tell_damage(step)
        return step

    def _ahead(self, sound: Sound) -> int:
        """Samples from the end of what was given to where the timestamp says; exact, rounded once."""
        assert sound.pts is not None and sound.tick is not None
        if self._clock is None or self._clock[0] != sound.tick:
            if self._origin is None:
                self._origin = sound.pts * sound.tick - self.position
            # pts * tick * rate - (origin + base) * rate, with integers: it is done for each frame.
            scale, zero = sound.tick * self._rate, (self._origin + self._base) * self._rate
            numerator, offset = scale.numerator * zero.denominator, zero.numerator * scale.denominator
            self._clock = sound.tick, 2 * numerator, 2 * offset, scale.denominator * zero.denominator
        _, numerator, offset, denominator = self._clock
        return (sound.pts * numerator - offset + denominator) // (2 * denominator) - self._count

    def _is_plausible(self, seconds: float) -> bool:
        if abs(seconds) < RESTART:
            return True
        if seconds < 0:
            return False
        return self._length.believes(seconds, self.position)

    def _real_step(self, ahead: int, tick: Fraction) -> int:
        if ahead == 0 and not self._steps:
            return 0
        precision = max(round(2 * tick * self._rate), 1)  # timestamps are rounded to ticks
        if not self._heard or self._cutting or (self._damage is not None and abs(ahead) > precision):
            self._steps.clear()
            return ahead
        if abs(ahead) >= max(JUMP * self._rate, precision):
            self._steps.clear()
            return ahead
        if abs(ahead) < max(STEP * self._rate, precision) or (self._steps and (ahead > 0) != (self._steps[0] > 0)):
            self._steps.clear()
            return 0
        self._steps.append(ahead)
        if len(self._steps) < LASTING:
            return 0
        smallest = min(self._steps, key=abs)
        self._steps.clear()
        return smallest

    def _tell_damage(self, step: int) -> None:
        start = float(self.position)
        end = start + step / self._rate
        if self._damage is not None:
            if step > 0:
                self._warn(f"damaged from {start:.2f} s to {end:.2f} s; silence is put in its place", incomplete=True)
            else:
                self._warn(f"damaged at {start:.2f} s; what can't be decoded there is left out", incomplete=True)
        elif self._heard and step >= GAP_WORTH_TELLING * self._rate:
            self._warn(f"no sound from {start:.2f} s to {end:.2f} s (a pause or damage); silence is put in its place")
        elif self._heard and not self._cutting and -step >= GAP_WORTH_TELLING * self._rate:
            self._warn(f"sound overlaps by {-step / self._rate:.2f} s at {start:.2f} s; the overlap is left out")

    def _finish(self) -> None:
        if not self._heard:
            return
        end = float(self.position)
        reason = self._damage.reason if self._damage is not None else ""
        if reason:
            self._warn(f"reading stopped at {end:.2f} s: {reason}", incomplete=True)
        elif self._length.declared and self._end is not None and self._end - self.position > CUT_SHORT:
            declared = float(self._end)
            self._warn(
                f"ends at {end:.2f} s, but its header says {declared:.2f} s; it was cut short or damaged",
                incomplete=True,
            )
        elif self._damage is not None:
            self._warn(f"damaged at its end, {end:.2f} s; it may have been cut short", incomplete=True)
