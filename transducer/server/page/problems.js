// What went wrong, in plain words, and whether trying again helps.

export class Problem extends Error {
  /**
   * kind: "token" (one is needed, or it is wrong), "away" (no server), "busy", "refused", "device", "file".
   * retry: the same may work a little later, without anybody doing anything.
   */
  constructor(kind, message, retry = false) {
    super(message);
    this.kind = kind;
    this.retry = retry;
  }
}

export const AWAY = 'The server cannot be reached.';

/**
 * The problem that a close of the WebSocket stands for; `error` is the server's own {code, message}, if it gave one. A
 * stream that was idle or ran for as long as it may is gone on with by another one.
 */
export function closeProblem(code, error) {
  const known = {
    1001: ['away', 'The server is shutting down.', true],
    1003: ['refused', 'The server cannot read this.'],
    1006: ['away', AWAY, true],
    1008: ['refused', 'The server has closed this stream.'],
    1009: ['refused', 'A message was too large for the server.'],
    1011: ['refused', 'The server has a fault. Its log says more.', true],
    1013: ['busy', 'The server has no free place. Try again later.', true],
  }[code] ?? ['refused', `The connection was closed (${code}).`];
  const goesOn = error?.code === 'idle' || error?.code === 'time';
  return new Problem(known[0], error?.message ? sentence(error.message) : known[1], known[2] ?? goesOn);
}

/** Why a microphone or camera cannot be opened. */
export function deviceProblem(error, device) {
  const forbidden = `This page may not use the ${device}. Allow it in the browser's settings of this site.`;
  const text = {
    NotAllowedError: forbidden,
    SecurityError: forbidden,
    NotFoundError: `There is no ${device}. Connect one and start again.`,
    OverconstrainedError: `The chosen ${device} is gone. Choose another one.`,
    NotReadableError: `The ${device} is in use by another program, or does not answer.`,
    AbortError: `The ${device} stopped while it was being opened. Start again.`,
  }[error.name];
  return new Problem('device', text ?? `The ${device} cannot be opened: ${sentence(error.message || error.name)}`);
}

/** Browsers give microphones and cameras to secure pages alone. */
export function checkSecure(device) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Problem(
      'device',
      `Browsers give the ${device} only to pages of https:// addresses and of this computer (http://localhost). ` +
        'Open the page at one of these.',
    );
  }
}

/** A message of the server as a sentence. What the page sends is a stream to it, and a file to people. */
export function sentence(text) {
  const trimmed = text.trim().replace(/^the stream:/, 'the file:');
  const begun = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
