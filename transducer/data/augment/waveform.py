"""What may be done to recordings before features are computed.

Samples are float32, mono, (T,). Functions that draw random numbers take a numpy Generator and are pure otherwise.
"""

import numpy as np
import soxr


def change_speed(samples: np.ndarray, speed: float, rate: float, target_rate: float | None = None) -> np.ndarray:
    """Play faster (`speed` > 1) or slower by resampling: duration / speed, pitch * speed (Ko et al. 2015).

    A time t in the original becomes t / speed. With `target_rate` the result is also brought to that rate,
    in the same single pass.
    """
    if not 0.25 <= speed <= 4:
        raise ValueError(f"speed {speed} is outside 0.25 to 4")
    target_rate = rate if target_rate is None else target_rate
    if rate * speed == target_rate:
        return samples.astype(np.float32, copy=False)
    return soxr.resample(samples.astype(np.float32, copy=False), rate * speed, target_rate)


def add_noise(samples: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """samples + g * noise, g such that 10 log10(speech power / noise power) over the whole length is `snr_db`.

    Noise shorter than the samples is repeated, longer noise is cut. Where either of them is silent there is no
    ratio to set, and the samples come back as they are.
    """
    noise = np.resize(noise, samples.shape)
    speech_power = float(np.mean(np.square(samples, dtype=np.float64)))
    noise_power = float(np.mean(np.square(noise, dtype=np.float64)))
    if speech_power == 0 or noise_power == 0:
        return samples
    gain = np.sqrt(speech_power / noise_power * 10 ** (-snr_db / 10))
    return (samples + gain * noise).astype(np.float32)


def room_response(rt60: float, direct_to_reverberant_db: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """The impulse response of a simulated room: white noise under an exponential decay (Polack 1988).

    Energy falls by 60 dB in `rt60` seconds. The first sample is the direct sound, of height 1, so that reverberation
    delays nothing and times of words stay right; the tail's energy relative to it is set by
    `direct_to_reverberant_db`. -> (round(rt60 * rate) + 1,) float32.
    """
    length = max(1, round(rt60 * rate))
    decay = np.exp(-3 * np.log(10) * np.arange(1, length + 1) / length)
    tail = rng.standard_normal(length) * decay
    tail *= np.sqrt(10 ** (-direct_to_reverberant_db / 10) / np.sum(tail**2))
    return np.concatenate([[1.0], tail]).astype(np.float32)


def reverberate(
    samples: np.ndarray,
    rate: int,
    rng: np.random.Generator,
    rt60: tuple[float, float] = (0.15, 0.8),
    direct_to_reverberant_db: tuple[float, float] = (-3.0, 12.0),
) -> np.ndarray:
    """Put the samples into a room drawn at random (`rt60` in seconds); same length, same power as before."""
    response = room_response(rng.uniform(*rt60), rng.uniform(*direct_to_reverberant_db), rate, rng)
    size = 1 << (len(samples) + len(response) - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)[: len(samples)]
    dry_power, wet_power = np.mean(np.square(samples, dtype=np.float64)), np.mean(np.square(wet))
    if wet_power > 0:
        wet *= np.sqrt(dry_power / wet_power)
    return wet.astype(np.float32)
