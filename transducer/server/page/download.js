// Results as files: subtitles, text and JSON, made in the browser.

import { clock, cueTime } from './times.js';

const LINE = 42; // characters, and at most two lines
const LONGEST = 7000; // milliseconds of a cue
const SHORTEST = 833; // 5/6 s
const GAP = 83; // milliseconds between cues: two frames
const PAUSE = 0.7; // seconds of silence that end a cue

const TYPES = {
  srt: 'application/x-subrip',
  vtt: 'text/vtt',
  txt: 'text/plain',
  json: 'application/json',
};

/** result: {source, duration, segments, events, warnings} with messages of the server. Gives the text of the file. */
export function render(result, format) {
  if (format === 'json') return `${JSON.stringify(asDocument(result), null, 2)}\n`;
  if (format === 'txt') return text(result);
  const cues = result.segments.length ? wordCues(result.segments) : labelCues(result.events);
  return subtitles(cues, format);
}

/** Buttons that save what result() gives, and one that copies its text. refresh() shows them when there is
 * something to save. */
export function actions(element, result, say) {
  const buttons = Object.keys(TYPES).map((format) => {
    const button = action(format.toUpperCase(), () => save(result(), format));
    button.setAttribute('aria-label', `Save as ${format.toUpperCase()}`);
    button.dataset.format = format;
    return button;
  });
  const copy = action('Copy text', async () => {
    try {
      await navigator.clipboard.writeText(text(result()));
      say('Copied.');
    } catch {
      say('The browser does not allow copying here.');
    }
  });
  element.append(...buttons, copy);
  const refresh = () => {
    const { segments, events } = result();
    element.hidden = !segments.length && !events.length;
  };
  refresh();
  return refresh;
}

function action(name, run) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = name;
  button.addEventListener('click', run);
  return button;
}

function save(result, format) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([render(result, format)], { type: `${TYPES[format]};charset=utf-8` }));
  link.download = `${result.source.replace(/\.[^.]{1,5}$/, '') || 'captions'}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function text({ segments, events }) {
  if (!segments.length) return events.map(({ start, label }) => `${clock(start, 2)}  ${label}\n`).join('');
  return segments.map((segment) => `${segment.text}\n`).join('');
}

/** The document that `transducer transcribe --format json` writes; `events` are there where a video was looked at. */
function asDocument({ source, duration, segments, events, warnings }) {
  const round = (number) => Math.round(number * 1e6) / 1e6;
  const timed = ({ start, end }) => ({ start: round(start), end: round(end) });
  return {
    source,
    language: '',
    duration: round(duration),
    text: join(segments.flatMap(({ words }) => words)),
    segments: segments.map((segment) => ({
      ...timed(segment),
      text: segment.text,
      final: true,
      words: segment.words.map((word) => ({
        text: word.text,
        ...timed(word),
        confidence: word.confidence,
        ...(word.glued && { glued: true }),
      })),
    })),
    ...(events.length && {
      events: events.map(({ label, score, start_frame, end_frame, ...times }) => ({
        label,
        ...timed(times),
        start_frame,
        end_frame,
        score,
      })),
    }),
    warnings,
  };
}

function subtitles(cues, kind) {
  const escape = (line) =>
    kind === 'vtt' ? line.replace(/[&<>]/g, (mark) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[mark]) : line;
  const blocks = cues.map(({ start, end, lines }, number) => {
    const times = `${cueTime(start, kind)} --> ${cueTime(end, kind)}`;
    return `${number + 1}\n${times}\n${lines.map(escape).join('\n')}\n\n`;
  });
  return (kind === 'vtt' ? 'WEBVTT\n\n' : '') + blocks.join('');
}

/** Cues of at most two lines; segments and pauses end them, and long segments are parted evenly. */
export function wordCues(segments) {
  const groups = segments.flatMap(({ words }) => phrases(words)).flatMap(part);
  return spread(
    groups.map((words) => ({
      start: Math.round(words[0].start * 1000),
      end: Math.round(words.at(-1).end * 1000),
      lines: lines(words),
    })),
  );
}

function labelCues(events) {
  return spread(
    events.map(({ label, start, end }) => ({
      start: Math.round(start * 1000),
      end: Math.round(end * 1000),
      lines: [label],
    })),
  );
}

function phrases(words) {
  const found = [];
  for (const word of words) {
    const before = found.at(-1)?.at(-1);
    if (before && word.start - before.end < PAUSE) found.at(-1).push(word);
    else found.push([word]);
  }
  return found;
}

/** Words as a text; no space stands before those that are glued to the one before. */
function join(words) {
  return words.map((word, k) => (k && !word.glued ? ' ' : '') + word.text).join('');
}

/** Characters, those of double width twice. */
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60]/g;
const width = (text) => text.length + (text.match(WIDE)?.length ?? 0);
const length = (words) => width(join(words));

function part(words) {
  const lasts = 1000 * (words.at(-1).end - words[0].start);
  if (words.length === 1 || (lasts <= LONGEST && lines(words).length <= 2)) return [words];
  // Where the halves are most alike, after a comma or a full stop if one is near the middle.
  let [best, cost] = [1, Infinity];
  for (let k = 1; k < words.length; k++) {
    const uneven = Math.abs(length(words.slice(0, k)) - length(words.slice(k))) / length(words);
    const here = uneven + (/[.,;:!?。，、！？]$/.test(words[k - 1].text) ? 0 : 0.4);
    if (here < cost) [best, cost] = [k, here];
  }
  return [words.slice(0, best), words.slice(best)].flatMap(part);
}

/** Words as lines of at most 42 characters; two are made as even as can be. A longer word has a line of its own. */
function lines(words) {
  const whole = join(words);
  if (width(whole) <= LINE || words.length === 1) return [whole];
  const pairs = words.slice(1).map((_, k) => [join(words.slice(0, k + 1)), join(words.slice(k + 1))]);
  const fitting = pairs.filter((pair) => pair.every((line) => width(line) <= LINE));
  if (!fitting.length) return words.map((word) => word.text); // too many for a cue: `part` divides them
  const uneven = ([upper, lower]) => Math.abs(width(upper) - width(lower));
  return fitting.sort((a, b) => uneven(a) - uneven(b))[0];
}

/** Cues stay long enough to be read, out of the pause that follows, and never overlap. */
function spread(cues) {
  let before = 0;
  return cues.map((cue, k) => {
    const start = Math.max(cue.start, before);
    const room = k + 1 < cues.length ? Math.max(cues[k + 1].start - start, 0) : Infinity;
    const wanted = Math.min(Math.max(cue.end, start + SHORTEST), start + LONGEST);
    const end = Math.max(Math.min(wanted, start + room - Math.min(GAP, room / 4)), start + 1);
    before = Math.round(end);
    return { ...cue, start, end: before };
  });
}
