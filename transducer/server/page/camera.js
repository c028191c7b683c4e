// The camera as small JPEG pictures with times, and a stream of them.

import { LiveStream } from './live.js';
import { checkSecure, deviceProblem } from './problems.js';

const WIDTH = 320; // pixels; models see less
const QUALITY = 0.8;
const PENDING = 4; // pictures that may wait to be compressed
const WAITING = 2 ** 20; // bytes that may wait in the browser: beyond it pictures are left out
const NOTICED = 0.05; // share of pictures left out from which on it is told
const REMEMBERED = 8; // seconds of pictures kept for the labels' thumbnails

export class Camera {
  #media = null;
  #video;
  #canvas = document.createElement('canvas');
  #stream = null;
  #started = 0; // the first picture, on the page's clock, seconds
  #last = 0; // time of the picture before
  #order = Promise.resolve(); // compressed pictures are sent in the order of their times
  #pending = 0;
  #remembered = []; // {time (of the session), blob}
  #offset = 0; // session time at the start
  #on;
  #running = false;

  #sent = 0;
  #dropped = 0; // pictures that were not sent, because the server or this computer is too slow

  /**
   * video: the element that shows the picture. on: {message, state, failed} as for LiveStream, dropped(count), ended()
   * (unplugged).
   */
  constructor(video, on) {
    this.#video = video;
    this.#on = on;
  }

  async start({ device, options, clock }) {
    checkSecure('camera');
    const wanted = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 25, max: 30 } };
    if (device) wanted.deviceId = { exact: device };
    try {
      this.#media = await navigator.mediaDevices.getUserMedia({ video: wanted });
    } catch (error) {
      throw deviceProblem(error, 'camera');
    }
    const [track] = this.#media.getVideoTracks();
    track.onended = () => this.#on.ended();
    this.#video.srcObject = this.#media;
    await this.#video.play();
    clock.start();
    this.#offset = clock.now();
    this.#started = performance.now() / 1000;
    this.#running = true;
    this.#stream = new LiveStream({
      hello: { kind: 'video', format: 'jpeg', timed: true, fps: track.getSettings().frameRate ?? 25, options },
      start: this.#offset,
      replay: 0,
      on: this.#on,
    });
    this.#next();
    return track.getSettings().deviceId ?? '';
  }

  async stop() {
    this.#release();
    await this.#order;
    await this.#stream.stop();
  }

  abandon() {
    this.#release();
    this.#stream?.abandon();
  }

  /** The picture that was shown at a time of the session, or the one next to it, as a Blob; null if it is gone. */
  picture(time) {
    let [best, distance] = [null, 1];
    for (const item of this.#remembered) {
      const away = Math.abs(item.time - time);
      if (away < distance) [best, distance] = [item.blob, away];
    }
    return best;
  }

  #next() {
    if (!this.#running) return;
    if (this.#video.requestVideoFrameCallback) {
      this.#video.requestVideoFrameCallback((now, frame) => this.#take((frame.captureTime ?? now) / 1000));
    } else {
      requestAnimationFrame((now) => this.#take(now / 1000));
    }
  }

  #take(now) {
    if (!this.#running) return;
    this.#next();
    const time = now - this.#started;
    if (time <= this.#last + 0.001 || !this.#video.videoWidth) return;
    if (this.#pending >= PENDING || this.#stream.waiting > WAITING) {
      if (++this.#dropped > NOTICED * (this.#sent + 100)) this.#on.dropped(this.#dropped);
      return;
    }
    this.#last = time;
    this.#canvas.width = WIDTH;
    this.#canvas.height = Math.max(Math.round((WIDTH * this.#video.videoHeight) / this.#video.videoWidth), 1);
    const context = this.#canvas.getContext('2d');
    context.imageSmoothingQuality = 'high';
    context.drawImage(this.#video, 0, 0, this.#canvas.width, this.#canvas.height);
    this.#pending++;
    this.#sent++;
    const jpeg = new Promise((resolve) => this.#canvas.toBlob(resolve, 'image/jpeg', QUALITY));
    this.#order = this.#order.then(async () => {
      const blob = await jpeg;
      this.#pending--;
      if (!blob) return;
      const picture = new Uint8Array(await blob.arrayBuffer());
      this.#remember(time, blob);
      this.#stream.push(time, time, (base) => message(time - base, picture));
    });
  }

  #remember(time, blob) {
    this.#remembered.push({ time: time + this.#offset, blob });
    while (this.#remembered[0].time < time + this.#offset - REMEMBERED) this.#remembered.shift();
  }

  #release() {
    this.#running = false;
    for (const track of this.#media?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    this.#video.srcObject = null;
  }
}

/** A little-endian float64 with the time in seconds, then the picture. */
function message(time, picture) {
  const bytes = new Uint8Array(8 + picture.length);
  new DataView(bytes.buffer).setFloat64(0, time, true);
  bytes.set(picture, 8);
  return bytes.buffer;
}
