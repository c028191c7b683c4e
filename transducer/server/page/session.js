// The live panel: microphone and camera, each with a button, on one clock.

import { Camera } from './camera.js';
import { Transcript } from './captions.js';
import { actions } from './download.js';
import { Labels } from './events.js';
import { Microphone } from './microphone.js';
import { Problem, sentence } from './problems.js';
import { clock as asClock, SessionClock } from './times.js';

const RUNNING = { microphone: 'Listening.', camera: 'Watching.' };
const SILENT = 'The microphone gives no sound at all. It may be muted.';
const SHOWN = 2500; // milliseconds for which a label stays on the picture

const get = (id) => document.getElementById(id);

export class LivePanel {
  #clock = new SessionClock();
  #transcript = new Transcript(get('captions'), get('partial'));
  #labels = new Labels(get('labels'));
  #options;
  #failed;
  #refresh;
  #warnings = [];
  #sources = {};
  #states = { microphone: '', camera: '' };
  #lock = null; // keeps the screen on

  /** options(): those of the hello. failed(problem): shows it, or clears it (null). */
  constructor({ options, failed }) {
    this.#options = options;
    this.#failed = failed;
    this.#refresh = actions(get('live-actions'), () => this.#result(), (text) => this.#say(text));
    this.#addClear();
    this.#sources = {
      microphone: this.#source('microphone', (on) => new Microphone(on)),
      camera: this.#source('camera', (on) => new Camera(get('preview'), on)),
    };
    setInterval(() => this.#showClock(), 500);
    addEventListener('beforeunload', (event) => this.#running && event.preventDefault());
    navigator.mediaDevices?.addEventListener?.('devicechange', () => this.#listDevices());
  }

  get #running() {
    return Object.values(this.#sources).some((source) => source.running);
  }

  /** A device with its button: what it gives, and how it starts and stops. */
  #source(name, make) {
    const button = get(name);
    const source = { name, button, running: null, busy: false, ready: false };
    button.addEventListener('click', () => this.#toggle(source, make));
    return source;
  }

  async #toggle(source, make) {
    if (source.busy) return;
    source.busy = true;
    if (source.running) await this.#stop(source);
    else await this.#start(source, make);
    source.busy = false;
  }

  async #start(source, make) {
    this.#failed(null);
    this.#say('');
    const options = source.name === 'microphone' ? this.#options() : {};
    const device = make(this.#handlers(source));
    try {
      this.#show(source, true, 'Starting');
      const id = await device.start({ device: get(`${source.name}-device`).value, options, clock: this.#clock });
      source.running = device;
      this.#show(source, true, 'Stop');
      await this.#listDevices();
      get(`${source.name}-device`).value = id;
      this.#keepAwake();
    } catch (problem) {
      device.abandon();
      this.#show(source, false);
      this.#failed(problem instanceof Problem ? problem : new Problem('device', problem.message));
    }
  }

  async #stop(source) {
    const device = source.running;
    this.#show(source, false, 'Stopping');
    try {
      await device.stop();
    } catch (problem) {
      this.#failed(problem);
    }
    if (source.running === device) this.#ended(source);
  }

  /** The source is over, whoever ended it. */
  #ended(source) {
    source.running = null;
    this.#clock.stop();
    this.#show(source, false);
    this.#tell(source, '');
    if (source.name === 'microphone') this.#transcript.dropPartial();
    if (!this.#running) this.#lock?.release().catch(() => {});
  }

  #handlers(source) {
    return {
      message: (message) => this.#take(message),
      state: (state, detail) => {
        source.ready = state === 'ready';
        if (source.ready) this.#tell(source, RUNNING[source.name]);
        else this.#tell(source, `${detail.problem.message} Trying again in ${detail.seconds} s.`);
      },
      failed: (problem) => {
        source.running?.abandon();
        if (source.running) this.#ended(source);
        this.#failed(problem);
      },
      level: (peak) => (get('level').value = peak > 0 ? Math.max(0, 1 + Math.log10(peak) / 2.5) : 0),
      silent: (yes) => source.ready && this.#tell(source, yes ? SILENT : RUNNING.microphone),
      dropped: (count) => this.#tell(source, `${RUNNING.camera} Too slow: ${count} pictures left out.`),
      ended: () => {
        this.#failed(new Problem('device', `The ${source.name} was disconnected.`));
        this.#toggle(source);
      },
    };
  }

  #take(message) {
    const following = isInView(get('partial'));
    if (message.type === 'partial') this.#transcript.partial(message);
    else if (message.type === 'final') this.#transcript.final(message);
    else if (message.type === 'event') this.#mark(message);
    else if (message.type === 'warning') this.#warn(sentence(message.message));
    else return;
    get('live-empty').hidden = true;
    this.#refresh();
    if (following) get('partial').scrollIntoView({ block: 'nearest' });
  }

  #mark(event) {
    this.#labels.add(event, this.#sources.camera.running?.picture(event.end) ?? null);
    get('labels-empty').hidden = true;
    const label = get('label');
    label.textContent = event.label;
    label.hidden = false;
    clearTimeout(label.timer);
    label.timer = setTimeout(() => (label.hidden = true), SHOWN);
  }

  #warn(text) {
    if (!this.#warnings.includes(text)) this.#warnings.push(text);
    this.#say(text);
  }

  #show(source, pressed, verb = 'Start') {
    source.button.classList.toggle('on', pressed);
    source.button.querySelector('.text').textContent = `${verb} ${source.name}`;
    if (source.name === 'microphone') get('level').hidden = !pressed;
    else get('view').hidden = !pressed && !this.#labels.events.length;
    if (source.name === 'camera') get('preview').parentElement.hidden = !pressed;
  }

  /** Names of devices are known once one of them may be used. */
  async #listDevices() {
    const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
    for (const [name, kind] of [['microphone', 'audioinput'], ['camera', 'videoinput']]) {
      const select = get(`${name}-device`);
      const found = devices.filter((device) => device.kind === kind && device.label);
      const chosen = select.value;
      select.replaceChildren(...found.map((device) => new Option(device.label, device.deviceId)));
      if (found.some((device) => device.deviceId === chosen)) select.value = chosen;
      select.parentElement.hidden = found.length < 2;
    }
  }

  #addClear() {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = 'Clear';
    button.className = 'quiet';
    button.addEventListener('click', () => this.#clear());
    get('live-actions').append(button);
  }

  #clear() {
    if (this.#running) return this.#say('Stop first: what is being said now would lose its beginning.');
    this.#transcript.clear();
    this.#labels.clear();
    this.#clock.reset();
    this.#showClock();
    this.#warnings = [];
    get('live-empty').hidden = get('labels-empty').hidden = false;
    get('view').hidden = true;
    this.#failed(null);
    this.#say('');
    this.#refresh();
  }

  #result() {
    const { segments } = this.#transcript;
    const { events } = this.#labels;
    const last = Math.max(this.#clock.now(), segments.at(-1)?.end ?? 0, events.at(-1)?.end ?? 0);
    const source = segments.length || !events.length ? 'microphone' : 'camera';
    return { source, duration: last, segments, events, warnings: this.#warnings };
  }

  async #keepAwake() {
    if (this.#lock && !this.#lock.released) return;
    try {
      this.#lock = await navigator.wakeLock?.request('screen');
    } catch {
      // low battery, or an old browser: the screen goes dark as ever
    }
  }

  /** What a source is doing; of both, if both run. */
  #tell(source, text) {
    this.#states[source.name] = text;
    this.#say([...new Set(Object.values(this.#states))].filter(Boolean).join(' '));
  }

  #showClock() {
    get('clock').textContent = asClock(this.#clock.now());
  }

  #say(text) {
    get('live-status').textContent = text;
  }
}

/** Whether the reader is at the newest words; who has scrolled back is left there. */
function isInView(element) {
  return element.getBoundingClientRect().top < innerHeight;
}
