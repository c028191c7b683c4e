// A live source as a stream of the server, over as many connections as it takes.

import { Connection } from './socket.js';
import { Problem } from './problems.js';

const WAITS = [1, 2, 4, 8, 10]; // seconds before each new try; the last one is repeated
const MOST = 2 ** 22; // bytes that may wait in the browser: two minutes of sound

export class LiveStream {
  #hello;
  #on;
  #clock; // session time of the start of this source, in seconds
  #replay;
  #kept = []; // media that may have to be sent again: {start, end, bytes(base)}
  #end = 0; // seconds of media so far
  #connection;
  #base = 0; // where in this source the stream of this connection begins
  #number = 0; // of the connection
  #tries = 0;
  #timer = null;
  #stopped = null; // resolves when the last results have come

  /**
   * hello: of each connection. start: session time at which the source begins. replay: after a broken connection, so
   * many seconds of what is not final yet are sent again. on: {message(message), state("ready" | "waiting", detail),
   * failed(problem)}; the times of messages are those of the session.
   */
  constructor({ hello, start, replay, on }) {
    this.#hello = hello;
    this.#clock = start;
    this.#replay = replay;
    this.#on = on;
    this.#connect();
  }

  /** Media from `start` to `end` (seconds of this source); bytes(base) makes the message, base in the same seconds. */
  push(start, end, bytes) {
    this.#end = end;
    if (this.#connection.isReady) this.#connection.send(bytes(this.#base));
    this.#kept.push({ start, end, bytes });
    this.#forget(end - this.#replay);
    if (this.waiting > MOST) {
      this.abandon();
      this.#on.failed(new Problem('busy', 'The server, or the way to it, is too slow to follow.'));
    }
  }

  /** Bytes that wait in this browser. */
  get waiting() {
    return this.#connection.waiting;
  }

  /** Send what is left, and wait for the last results. */
  async stop() {
    if (this.#timer !== null) {
      this.abandon();
      throw new Problem('away', 'There was no connection: what was said last has not been written.');
    }
    await new Promise((resolve) => {
      this.#stopped = resolve;
      if (this.#connection.isReady) this.#connection.finish();
    });
  }

  /** Leave without the last results. */
  abandon() {
    clearTimeout(this.#timer);
    this.#connection.close();
  }

  #connect() {
    this.#timer = null;
    const number = ++this.#number;
    this.#connection = new Connection(this.#hello, {
      ready: (message) => {
        this.#base = this.#kept.length ? this.#kept[0].start : this.#end;
        this.#on.state('ready', message);
        for (const item of this.#kept) this.#connection.send(item.bytes(this.#base));
        if (this.#stopped) this.#connection.finish();
      },
      message: (message) => {
        this.#tries = 0; // results, and not a server that says hello and fails
        if (message.type === 'final') this.#forget(this.#base + message.end);
        this.#on.message(shift(message, this.#clock + this.#base, number));
      },
      closed: (problem) => this.#closed(problem),
    });
  }

  #closed(problem) {
    if (this.#stopped) {
      if (problem) this.#on.failed(problem);
      return this.#stopped();
    }
    if (problem === null) problem = new Problem('refused', 'The server has ended this stream.');
    if (!problem.retry) return this.#on.failed(problem);
    const seconds = WAITS[Math.min(this.#tries++, WAITS.length - 1)];
    this.#timer = setTimeout(() => this.#connect(), seconds * 1000);
    this.#on.state('waiting', { problem, seconds });
  }

  #forget(until) {
    let count = 0;
    while (count < this.#kept.length && this.#kept[count].end <= until) count++;
    this.#kept.splice(0, count);
  }
}

/** The message with times of the session; segments of different connections get different names. */
function shift(message, seconds, connection) {
  const moved = { ...message };
  for (const key of ['start', 'end']) if (typeof moved[key] === 'number') moved[key] += seconds;
  if (moved.segment !== undefined) moved.segment = `${connection}.${moved.segment}`;
  if (moved.words) {
    moved.words = moved.words.map((word) => ({ ...word, start: word.start + seconds, end: word.end + seconds }));
  }
  return moved;
}
