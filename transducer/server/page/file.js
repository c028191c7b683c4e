// A file: its words and labels while it is read, and a transcript that plays along.

import { Transcript } from './captions.js';
import { actions } from './download.js';
import { Labels, Strip } from './events.js';
import { faststart } from './faststart.js';
import { Problem, sentence } from './problems.js';
import { Connection } from './socket.js';

const PIECE = 2 ** 16; // bytes of a message
const SECONDS = 4; // that the browser may take to say what a file is
const REST = 3000; // milliseconds without following, after the reader has scrolled

const get = (id) => document.getElementById(id);

export class FilePanel {
  #player = get('player');
  #transcript;
  #labels;
  #strip;
  #refresh;
  #options;
  #failed;
  #file = null;
  #duration = 0;
  #warnings = [];
  #connections = [];
  #turn = 0; // of the file that is being read: an older one's results are dropped
  #scrolled = -Infinity;

  /** options(): those of the hello. failed(problem): shows it. */
  constructor({ options, failed }) {
    this.#options = options;
    this.#failed = failed;
    const seek = (seconds) => this.#play(seconds);
    this.#transcript = new Transcript(get('transcript'), get('file-partial'), seek);
    this.#labels = new Labels(get('shot-list'), seek);
    this.#strip = new Strip(get('strip'), (share) => this.#play(share * this.#player.duration));
    this.#refresh = actions(get('file-actions'), () => this.#result(), (text) => this.#say(text));
    get('choose').addEventListener('change', ({ target }) => {
      if (target.files.length) this.read(target.files[0]);
      target.value = ''; // the same file can be chosen again
    });
    get('cancel').addEventListener('click', () => this.#cancel());
    this.#followPlayer();
    for (const kind of ['wheel', 'touchmove']) {
      addEventListener(kind, () => (this.#scrolled = performance.now()), { passive: true });
    }
  }

  /** Start on a file; the one before is left. */
  async read(file) {
    this.#leave();
    const turn = ++this.#turn;
    this.#file = file;
    this.#duration = 0;
    this.#warnings = [];
    this.#transcript.clear();
    this.#labels.clear();
    this.#failed(null);
    this.#refresh();
    this.#showPictures(false);
    get('result').hidden = get('reading').hidden = false;
    get('drop').classList.add('small');
    get('file-name').textContent = file.name;
    get('progress').value = 0;
    this.#say('Reading…');
    try {
      const what = await this.#load(file);
      if (turn !== this.#turn) return;
      this.#showPictures(what === 'video');
      await this.#stream(await faststart(file), what === 'sound' ? ['audio'] : ['audio', 'video'], turn);
    } catch (problem) {
      if (turn !== this.#turn) return;
      this.#say('');
      const known = problem instanceof Problem;
      this.#failed(known ? problem : new Problem('file', `The file cannot be read: ${problem.message}`));
    }
    if (turn === this.#turn) get('reading').hidden = true;
  }

  /** Read the same file again, after a token was given. */
  again() {
    if (this.#file) this.read(this.#file);
  }

  /** Give the file to the player: "sound", "video", or "unknown" where it cannot play it. */
  async #load(file) {
    const player = this.#player;
    URL.revokeObjectURL(player.src);
    player.src = URL.createObjectURL(file);
    const known = await new Promise((resolve) => {
      player.onloadedmetadata = () => resolve(true);
      player.onerror = () => resolve(false);
      setTimeout(resolve, SECONDS * 1000, false);
    });
    player.hidden = !known;
    player.classList.toggle('sound', known && !player.videoWidth);
    if (!known) this.#warn('This browser cannot play the file. Its transcript does without.');
    return !known ? 'unknown' : player.videoWidth ? 'video' : 'sound';
  }

  #showPictures(yes) {
    get('shots').hidden = get('strip').hidden = !yes;
    get('result').classList.toggle('pictures', yes);
  }

  /** Send the file for each of the kinds; resolves when all results are there. */
  async #stream(blob, kinds, turn) {
    const problems = await Promise.all(
      kinds.map((kind) => this.#send(blob, kind, turn).then(() => null, (problem) => problem)),
    );
    if (turn !== this.#turn) return;
    const found = problems.filter((problem) => problem !== null);
    if (found.length === kinds.length || found.some((problem) => problem.kind === 'token')) throw found[0];
    // A video without sound, or sound that the browser does not know: the other half is enough.
    if (problems[0]) this.#warn(problems[0].message);
    this.#transcript.dropPartial();
    const words = this.#transcript.segments.reduce((sum, segment) => sum + segment.words.length, 0);
    const counts = [`${words} ${words === 1 ? 'word' : 'words'}`];
    const { length } = this.#labels.events;
    if (kinds.includes('video') && !problems[1]) {
      counts.push(`${length} ${length === 1 ? 'label' : 'labels'}`);
    }
    if (!length) get('shots').hidden = true;
    this.#say([`Done: ${counts.join(', ')}.`, ...this.#warnings].join(' '));
  }

  async #send(blob, kind, turn) {
    const options = kind === 'audio' ? this.#options() : {};
    let connection;
    const ended = new Promise((resolve, reject) => {
      connection = new Connection({ kind, format: 'container', options }, {
        ready: () => this.#pump(connection, blob, turn).catch(reject),
        message: (message) => turn === this.#turn && this.#take(message),
        closed: (problem) => (problem ? reject(problem) : resolve()),
      });
    });
    this.#connections.push(connection);
    await ended;
  }

  async #pump(connection, blob, turn) {
    for (let at = 0; at < blob.size; at += PIECE) {
      if (turn !== this.#turn || !(await connection.drained())) return;
      connection.send(await blob.slice(at, at + PIECE).arrayBuffer());
      if (this.#player.hidden) this.#progress(at / blob.size);
    }
    connection.finish();
  }

  #take(message) {
    if (message.type === 'partial') this.#transcript.partial(message);
    else if (message.type === 'final') this.#transcript.final(message);
    else if (message.type === 'event') this.#mark(message);
    else if (message.type === 'warning') this.#warn(sentence(message.message));
    else if (message.type === 'finished') this.#duration = Math.max(this.#duration, message.duration ?? 0);
    if (message.type === 'final' || message.type === 'event') this.#refresh();
    // What was sent may still wait: results say how far the server is, where the length is known.
    if (!this.#player.hidden && message.end) this.#progress(message.end / this.#player.duration);
  }

  #progress(share) {
    const bar = get('progress');
    if (share > bar.value) bar.value = Math.min(share, 1);
  }

  #mark(event) {
    this.#labels.add(event);
    get('shots').hidden = false;
    const { duration } = this.#player;
    if (duration) this.#strip.draw(this.#labels.events, duration);
  }

  #warn(text) {
    if (!this.#warnings.includes(text)) this.#warnings.push(text);
  }

  #result() {
    return {
      source: this.#file?.name ?? '',
      duration: this.#duration || this.#player.duration || 0,
      segments: this.#transcript.segments,
      events: this.#labels.events,
      warnings: this.#warnings,
    };
  }

  #play(seconds) {
    const player = this.#player;
    if (player.hidden || !Number.isFinite(seconds)) return;
    player.currentTime = seconds;
    this.#scrolled = -Infinity;
    player.play().catch(() => {}); // the browser wants a click first: the place is right all the same
  }

  /** The word that is said is lit, and kept in view. */
  #followPlayer() {
    const player = this.#player;
    const show = () => {
      const word = this.#transcript.light(player.currentTime);
      this.#strip.move(player.currentTime / (player.duration || 1));
      if (word && !player.paused && performance.now() - this.#scrolled > REST) {
        const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
        word.scrollIntoView({ block: 'nearest', behavior: calm ? 'auto' : 'smooth' });
      }
    };
    const each = () => {
      show();
      if (!player.paused && !player.ended) requestAnimationFrame(each);
    };
    player.addEventListener('play', each);
    for (const kind of ['seeked', 'pause', 'timeupdate']) player.addEventListener(kind, show);
    player.addEventListener('loadedmetadata', () => this.#strip.draw(this.#labels.events, player.duration));
  }

  #cancel() {
    this.#leave();
    this.#turn++;
    this.#transcript.dropPartial();
    get('reading').hidden = true;
    this.#say('Stopped. What was read so far is below.');
  }

  #leave() {
    for (const connection of this.#connections) connection.close();
    this.#connections = [];
  }

  #say(text) {
    get('file-status').textContent = text;
  }
}
