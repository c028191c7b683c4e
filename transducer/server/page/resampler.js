// Any sample rate -> another, by polyphase filtering with a sinc under a Kaiser window.

const ZERO_CROSSINGS = 48; // on each side of the middle
const BETA = 9; // of the window: side lobes about 90 dB down
const ROLL_OFF = 0.945; // the filter's cutoff, of the lower half rate: nothing above it folds back

/**
 * A stream of samples at one rate to a stream at another. Output sample n belongs to the time n / to, exactly, and
 * what comes out does not depend on how the input is cut.
 */
export class Resampler {
  #up; // output position n is input position n * down / up
  #down;
  #reach; // input samples that the filter sees on each side
  #phases; // for each of the `up` fractions of a sample its filter
  #held; // input that is still needed, from position #first on
  #first;
  #made = 0; // output samples so far
  #pushed = 0; // input samples so far

  /** from, to: samples per second, whole numbers. */
  constructor(from, to = 16000) {
    const divisor = gcd(from, to);
    this.#up = to / divisor;
    this.#down = from / divisor;
    const cutoff = this.#up === this.#down ? 1 : ROLL_OFF * Math.min(1, to / from); // of half the input rate
    this.#reach = this.#up === this.#down ? 0 : Math.ceil(ZERO_CROSSINGS / cutoff);
    this.#phases = Array.from({ length: this.#up }, (_, phase) => filter(phase / this.#up, this.#reach, cutoff));
    this.#held = new Float32Array(this.#reach); // silence before the start
    this.#first = -this.#reach;
  }

  /** Float32Array -> the Float32Array that is due after it. */
  push(samples) {
    const input = new Float32Array(this.#held.length + samples.length);
    input.set(this.#held);
    input.set(samples, this.#held.length);
    this.#pushed += samples.length;
    const end = this.#first + input.length; // position behind the last input sample
    const output = [];
    for (;;) {
      const middle = Math.floor((this.#made * this.#down) / this.#up);
      if (middle + this.#reach >= end) break;
      const taps = this.#phases[(this.#made * this.#down) % this.#up];
      const from = middle - this.#reach - this.#first;
      let sum = 0;
      for (let k = 0; k < taps.length; k++) sum += taps[k] * input[from + k];
      output.push(sum);
      this.#made++;
    }
    const keep = Math.floor((this.#made * this.#down) / this.#up) - this.#reach;
    this.#held = input.slice(Math.max(keep - this.#first, 0));
    this.#first = Math.max(keep, this.#first);
    return Float32Array.from(output);
  }

  /** What is left, as if silence followed. */
  flush() {
    const due = Math.ceil((this.#pushed * this.#up) / this.#down) - this.#made;
    return this.push(new Float32Array(this.#reach + 1)).slice(0, Math.max(due, 0));
  }
}

/** The filter for outputs that lie `fraction` of a sample behind an input sample: 2 * reach + 1 taps, sum 1. */
function filter(fraction, reach, cutoff) {
  if (reach === 0) return Float32Array.of(1);
  const taps = new Float64Array(2 * reach + 1);
  let sum = 0;
  for (let k = 0; k < taps.length; k++) {
    const x = k - reach - fraction;
    const edge = x / (reach + 1);
    const window = Math.abs(edge) < 1 ? bessel(BETA * Math.sqrt(1 - edge * edge)) : 0;
    taps[k] = window * (x === 0 ? cutoff : Math.sin(Math.PI * cutoff * x) / (Math.PI * x));
    sum += taps[k];
  }
  return Float32Array.from(taps, (tap) => tap / sum);
}

/** The modified Bessel function of order 0, which the Kaiser window is made of. */
function bessel(x) {
  let [sum, term] = [1, 1];
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}
