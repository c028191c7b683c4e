// Segments of words on the page: final ones stay, the partial one behind them changes.

import { clock } from './times.js';

const UNCERTAIN = 0.5; // confidence below which a word is marked
const LINGER = 0.3; // seconds for which a word stays lit after its end

export class Transcript {
  segments = []; // the final ones that have words, in the order they came
  #words = []; // {start, end, element} in the order of time
  #list;
  #partial;
  #seek;
  #lit = null;
  #partialSegment = null;

  /** list, partial: elements. seek(seconds): called for a word that is chosen; null for captions without playback. */
  constructor(list, partial, seek = null) {
    this.#list = list;
    this.#partial = partial;
    this.#seek = seek;
    if (seek) {
      list.addEventListener('click', ({ target }) => this.#choose(target));
      list.addEventListener('keydown', (event) => this.#key(event));
    }
  }

  clear() {
    this.segments = [];
    this.#words = [];
    this.#lit = null;
    this.#list.replaceChildren();
    this.dropPartial();
  }

  dropPartial() {
    this.#partialSegment = null;
    this.#partial.replaceChildren();
  }

  /** A message of the type "partial": its stable part is set like final text, the rest dimmed. */
  partial({ segment, text, stable = '' }) {
    this.#partialSegment = segment;
    const fixed = document.createElement('span');
    fixed.textContent = text.startsWith(stable) ? stable : '';
    const open = document.createElement('span');
    open.className = 'open';
    open.textContent = text.slice(fixed.textContent.length);
    this.#partial.replaceChildren(fixed, open);
  }

  /** A message of the type "final". */
  final(segment) {
    if (this.#partialSegment === segment.segment) this.dropPartial();
    if (!segment.words?.length) return;
    this.segments.push(segment);
    const paragraph = document.createElement('p');
    paragraph.append(this.#time(segment.start));
    for (const word of segment.words) {
      const element = document.createElement('span');
      element.className = word.confidence < UNCERTAIN ? 'word uncertain' : 'word';
      element.textContent = word.text;
      if (this.#seek) {
        element.tabIndex = this.#words.length ? -1 : 0;
        element.dataset.number = this.#words.length;
      }
      this.#words.push({ start: word.start, end: word.end, element });
      paragraph.append(word.glued && word !== segment.words[0] ? '' : ' ', element);
    }
    this.#list.append(paragraph);
  }

  /** Light the word that is said at this time. Gives its element if it is another one than before. */
  light(seconds) {
    const word = this.#words[this.#before(seconds)];
    const element = word && seconds <= word.end + LINGER ? word.element : null;
    if (element === this.#lit) return null;
    this.#lit?.classList.remove('lit');
    element?.classList.add('lit');
    this.#lit = element;
    return element;
  }

  /** The number of the last word that begins by then; -1 before the first. */
  #before(seconds) {
    let [low, high] = [0, this.#words.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#words[middle].start <= seconds) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #time(seconds) {
    const element = document.createElement(this.#seek ? 'button' : 'span');
    element.className = 'time';
    element.textContent = clock(seconds);
    if (this.#seek) {
      element.type = 'button';
      element.setAttribute('aria-label', `Play from ${clock(seconds)}`);
      element.addEventListener('click', () => this.#seek(seconds));
    } else {
      element.ariaHidden = 'true'; // captions are read aloud: their times would be in the way
    }
    return element;
  }

  #choose(target) {
    const number = target.dataset?.number;
    if (number === undefined) return;
    this.#focus(Number(number));
    this.#seek(this.#words[number].start);
  }

  #key(event) {
    const number = Number(event.target.dataset?.number ?? NaN);
    if (Number.isNaN(number) || event.altKey || event.ctrlKey || event.metaKey) return;
    const last = this.#words.length - 1;
    const to = { ArrowRight: number + 1, ArrowLeft: number - 1, Home: 0, End: last }[event.key];
    if (to !== undefined) this.#focus(Math.max(0, Math.min(to, last)));
    else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') this.#focus(this.#row(number, event.key));
    else if (event.key === 'Enter' || event.key === ' ') this.#seek(this.#words[number].start);
    else return;
    event.preventDefault();
  }

  /** The first word of the paragraph below or above. */
  #row(number, key) {
    const paragraph = this.#words[number].element.parentElement;
    const next = key === 'ArrowDown' ? paragraph.nextElementSibling : paragraph.previousElementSibling;
    return next ? Number(next.querySelector('.word').dataset.number) : number;
  }

  /** One word alone can be reached with the tab key; the arrow keys move on from it. */
  #focus(number) {
    this.#list.querySelector('.word[tabindex="0"]')?.setAttribute('tabindex', '-1');
    const { element } = this.#words[number];
    element.tabIndex = 0;
    element.focus({ preventScroll: false });
  }
}
