// In the audio thread: what the microphone gives, mixed to mono, in pieces of about 20 ms.

class Capture extends AudioWorkletProcessor {
  #piece = new Float32Array(Math.round(sampleRate / 50));
  #filled = 0;
  #ended = false;

  constructor() {
    super();
    this.port.onmessage = () => {
      // The page wants the rest: nothing that was said before the stop is lost.
      this.port.postMessage({ samples: this.#piece.slice(0, this.#filled), last: true });
      this.#ended = true;
    };
  }

  process([channels]) {
    if (this.#ended) return false;
    // A muted device gives no channels. Silence keeps the clock going.
    const length = channels.length ? channels[0].length : 128;
    for (let k = 0; k < length; k++) {
      let sum = 0;
      for (const channel of channels) sum += channel[k];
      this.#piece[this.#filled++] = channels.length ? sum / channels.length : 0;
      if (this.#filled === this.#piece.length) {
        this.port.postMessage({ samples: this.#piece.slice(), last: false });
        this.#filled = 0;
      }
    }
    return true;
  }
}

registerProcessor('capture', Capture);
