// Labels of a video: a list, and marks on a strip as long as the video.

import { clock } from './times.js';

const PERCENT = 100;

export class Labels {
  events = [];
  #list;
  #seek;

  /** list: an <ol>. seek(seconds): called for a label that is chosen; null without playback. */
  constructor(list, seek = null) {
    this.#list = list;
    this.#seek = seek;
  }

  clear() {
    this.events = [];
    for (const picture of this.#list.querySelectorAll('img')) URL.revokeObjectURL(picture.src);
    this.#list.replaceChildren();
  }

  /** A message of the type "event"; picture: a Blob to show beside it, or null. */
  add(event, picture = null) {
    this.events.push(event);
    const item = document.createElement('li');
    if (picture) {
      const image = document.createElement('img');
      image.src = URL.createObjectURL(picture);
      image.alt = '';
      item.append(image);
    }
    const time = document.createElement(this.#seek ? 'button' : 'span');
    time.className = 'time';
    time.textContent = clock(event.start, 1);
    if (this.#seek) {
      time.type = 'button';
      time.setAttribute('aria-label', `Play from ${clock(event.start, 1)}`);
      time.addEventListener('click', () => this.#seek(event.start));
    }
    const name = document.createElement('span');
    name.className = 'name';
    name.textContent = event.label;
    const score = document.createElement('span');
    score.className = 'score';
    score.textContent = `${Math.round(event.score * PERCENT)} %`;
    item.append(time, ' ', name, ' ', score);
    this.#list.append(item);
  }
}

/** The strip below a video: a mark for each event, and where it plays. The list says the same to screen readers. */
export class Strip {
  #element;
  #place = document.createElement('span');

  constructor(element, seek) {
    this.#element = element;
    this.#place.className = 'place';
    element.addEventListener('click', ({ clientX }) => {
      const box = element.getBoundingClientRect();
      seek((clientX - box.left) / box.width);
    });
  }

  /** events: messages of the type "event". duration: of the video, in seconds. */
  draw(events, duration) {
    const marks = events.map(({ label, start, end }) => {
      const mark = document.createElement('span');
      mark.className = 'mark';
      mark.title = `${label} ${clock(start, 1)}`;
      mark.style.left = `${(start / duration) * PERCENT}%`;
      mark.style.width = `${(Math.max(end - start, 0) / duration) * PERCENT}%`;
      return mark;
    });
    this.#element.replaceChildren(...marks, this.#place);
  }

  move(share) {
    this.#place.style.left = `${share * PERCENT}%`;
  }
}
