// The microphone as 16 kHz mono, and a stream of it.

import { LiveStream } from './live.js';
import { checkSecure, deviceProblem, Problem } from './problems.js';
import { Resampler } from './resampler.js';

const RATE = 16000;
const REPLAY = 60; // seconds of sound that a new connection hears again
const SILENT = 5; // seconds of exact zeros after which something is said about it

export class Microphone {
  #media = null;
  #context = null;
  #node = null;
  #resampler = null;
  #stream = null;
  #samples = 0; // at 16 kHz, so far
  #zeros = 0;
  #on;

  /** on: {message, state, failed} as for LiveStream, level(0 to 1), silent(true | false), ended() (unplugged). */
  constructor(on) {
    this.#on = on;
  }

  /** device: the id of a microphone, "" for the default one. options: of the hello. clock: a SessionClock. */
  async start({ device, options, clock }) {
    checkSecure('microphone');
    const wanted = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true };
    if (device) wanted.deviceId = { exact: device };
    try {
      this.#media = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    } catch (error) {
      throw deviceProblem(error, 'microphone');
    }
    const [track] = this.#media.getAudioTracks();
    track.onended = () => this.#on.ended();
    try {
      this.#context = new AudioContext({ latencyHint: 'interactive' });
      await this.#context.audioWorklet.addModule(new URL('worklet.js', import.meta.url));
      await this.#context.resume();
    } catch (error) {
      this.#release();
      throw new Problem('device', `The browser cannot process sound: ${error.message}`);
    }
    // A call or another app may suspend it.
    this.#context.onstatechange = () => this.#context?.state !== 'closed' && this.#context?.resume().catch(() => {});
    this.#resampler = new Resampler(this.#context.sampleRate, RATE);
    this.#node = new AudioWorkletNode(this.#context, 'capture', { numberOfOutputs: 0 });
    clock.start();
    this.#stream = new LiveStream({
      hello: { kind: 'audio', format: 'pcm_s16le', rate: RATE, channels: 1, options },
      start: clock.now(),
      replay: REPLAY,
      on: this.#on,
    });
    this.#node.port.onmessage = ({ data }) => this.#hear(data.samples);
    this.#context.createMediaStreamSource(this.#media).connect(this.#node);
    return track.getSettings().deviceId ?? '';
  }

  /** The rest is sent, and its results are waited for. */
  async stop() {
    const rest = new Promise((resolve) => {
      const timer = setTimeout(resolve, 500); // a suspended context does not answer
      this.#node.port.onmessage = ({ data }) => {
        this.#hear(data.samples);
        if (!data.last) return;
        clearTimeout(timer);
        resolve();
      };
    });
    this.#node.port.postMessage('last');
    await rest;
    this.#send(this.#resampler.flush());
    this.#release();
    await this.#stream.stop();
  }

  abandon() {
    this.#release();
    this.#stream?.abandon();
  }

  #hear(samples) {
    let peak = 0;
    for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
    this.#on.level(peak);
    const before = this.#zeros;
    this.#zeros = peak === 0 ? this.#zeros + samples.length / this.#context.sampleRate : 0;
    if (before < SILENT && this.#zeros >= SILENT) this.#on.silent(true);
    if (before >= SILENT && this.#zeros === 0) this.#on.silent(false);
    this.#send(this.#resampler.push(samples));
  }

  #send(samples) {
    if (!samples.length) return;
    const whole = Int16Array.from(samples, (x) => Math.max(-32768, Math.min(32767, Math.round(x * 32768))));
    const start = this.#samples / RATE;
    this.#samples += whole.length;
    this.#stream.push(start, this.#samples / RATE, () => whole.buffer);
  }

  #release() {
    for (const track of this.#media?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    if (this.#context) {
      this.#context.onstatechange = null;
      this.#context.close();
    }
  }
}
