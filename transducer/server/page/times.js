// Times in seconds as people and files write them.

/** 75.4 -> "1:15"; with decimals = 1 "1:15.4"; from an hour on "1:01:15". */
export function clock(seconds, decimals = 0) {
  const scale = 10 ** decimals;
  // Whole seconds are cut like those of a watch; decimals are rounded.
  const ticks = decimals ? Math.round(Math.max(seconds, 0) * scale) : Math.floor(Math.max(seconds, 0));
  const whole = Math.floor(ticks / scale);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const fraction = decimals ? `.${String(ticks % scale).padStart(decimals, '0')}` : '';
  const tail = `${String(rest).padStart(2, '0')}${fraction}`;
  return hours ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`;
}

/** The time of a subtitle, from milliseconds: "00:01:15,400" (srt), "00:01:15.400" (vtt). */
export function cueTime(milliseconds, kind) {
  const pad = (number, width = 2) => String(number).padStart(width, '0');
  const seconds = Math.floor(milliseconds / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const point = kind === 'vtt' ? '.' : ',';
  return `${pad(hours)}:${pad(minutes)}:${pad(seconds % 60)}${point}${pad(milliseconds % 1000, 3)}`;
}

/** Elapsed seconds of a session: it runs while at least one source does. */
export class SessionClock {
  #before = 0;
  #started = null;
  #running = 0;

  start() {
    if (this.#running++ === 0) this.#started = performance.now();
  }

  stop() {
    if (--this.#running === 0) {
      this.#before = this.now();
      this.#started = null;
    }
  }

  /** From 0 again. */
  reset() {
    this.#before = 0;
    if (this.#started !== null) this.#started = performance.now();
  }

  now() {
    return this.#before + (this.#started === null ? 0 : (performance.now() - this.#started) / 1000);
  }
}
