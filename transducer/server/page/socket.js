// One stream of the server: hello, media, results. The protocol is in docs/server.md.

import { AWAY, closeProblem, Problem } from './problems.js';

const KEY = 'transducer-token';
const FULL = 2 ** 21; // bytes that wait in the browser before files are read on

/** The access token of this tab. Private windows may have no storage; then it lives as long as the page. */
export const token = {
  value: stored(),
  set(text) {
    this.value = text;
    try {
      sessionStorage.setItem(KEY, text);
    } catch {
      // no storage
    }
  },
};

function stored() {
  try {
    return sessionStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

/** The models of the server, by name. Throws a Problem: "token" or "away". */
export async function models() {
  if (/[^\x21-\x7e]/.test(token.value)) throw tokenProblem(); // no header can hold it
  let answer;
  try {
    const headers = token.value ? { Authorization: `Bearer ${token.value}` } : {};
    answer = await fetch(new URL('v1/models', document.baseURI), { headers, cache: 'no-store' });
  } catch {
    throw new Problem('away', AWAY, true);
  }
  if (answer.status === 401 || answer.status === 403) {
    throw tokenProblem();
  }
  if (!answer.ok) throw new Problem('away', `The server answers with an error (${answer.status}).`, true);
  return (await answer.json()).data.map((model) => model.id);
}

function tokenProblem() {
  return new Problem('token', token.value ? 'This token is not the right one.' : 'The server needs a token.');
}

export class Connection {
  #socket;
  #error = null; // the server's own message about what is wrong
  #ready = false;
  #closed = false;

  /**
   * hello: the first message, without its type. on: {ready(message), message(message), closed(problem)}; `closed` comes
   * once, with null after a regular end.
   */
  constructor(hello, on) {
    const address = new URL('v1/stream', document.baseURI);
    address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
    if (token.value) address.searchParams.set('token', token.value);
    this.#socket = new WebSocket(address);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onopen = () => this.#socket.send(JSON.stringify({ type: 'hello', ...hello }));
    this.#socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === 'ready') {
        this.#ready = true;
        on.ready?.(message);
      } else if (message.type === 'error') {
        this.#error = message;
      } else {
        on.message(message);
      }
    };
    this.#socket.onclose = ({ code }) => {
      if (this.#closed) return;
      this.#closed = true;
      if (code === 1000) on.closed(null);
      else on.closed(this.#error?.code === 'token' ? tokenProblem() : closeProblem(code, this.#error));
    };
  }

  get waiting() {
    return this.#socket.bufferedAmount;
  }

  get isReady() {
    return this.#ready && this.#socket.readyState === WebSocket.OPEN;
  }

  send(media) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(media);
  }

  /** No more media comes: the server answers with the rest and closes. */
  finish() {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ type: 'finish' }));
  }

  /** Leave at once; `closed` is not called any more. */
  close() {
    this.#closed = true;
    this.#socket.close();
  }

  /** Resolves when the server has taken enough of what was sent, or is gone. */
  async drained() {
    while (this.#socket.bufferedAmount > FULL && this.#socket.readyState === WebSocket.OPEN) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return this.#socket.readyState === WebSocket.OPEN;
  }
}
