// The page: its two panels, the settings and the access token.

import { FilePanel } from './file.js';
import { models, token } from './socket.js';
import { LivePanel } from './session.js';

const get = (id) => document.getElementById(id);

/** The settings as options of a hello; only those that differ from the server's defaults. */
function options() {
  const form = new FormData(get('settings'));
  const hotwords = form.get('hotwords').split(',').map((word) => word.trim()).filter(Boolean);
  return {
    ...(form.get('chunk_ms') && { chunk_ms: Number(form.get('chunk_ms')) }),
    ...(hotwords.length && { hotwords }),
    ...(form.has('punctuate') && { punctuate: true }),
    ...(form.has('digits') && { digits: true }),
  };
}

/** Shows a panel's problem; a token that is needed is asked for. */
function shows(id) {
  return (problem) => {
    if (problem?.kind === 'token') return askToken(problem.message);
    get(id).textContent = problem?.message ?? '';
  };
}

function askToken(message) {
  get('token-form').hidden = false;
  get('token-problem').textContent = message;
  get('token').focus();
}

async function greet() {
  try {
    get('server').textContent = (await models()).join(' · ');
    get('server').classList.remove('away');
    get('token-form').hidden = true;
    return true;
  } catch (problem) {
    if (problem.kind === 'token') {
      askToken(problem.message);
    } else {
      get('server').textContent = problem.message;
      get('server').classList.add('away');
    }
    return false;
  }
}

function prepareTabs(tabs) {
  const choose = (tab) => {
    for (const other of tabs) {
      const chosen = other === tab;
      other.setAttribute('aria-selected', String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      get(other.getAttribute('aria-controls')).hidden = !chosen;
    }
  };
  for (const [number, tab] of tabs.entries()) {
    tab.addEventListener('click', () => choose(tab));
    tab.addEventListener('keydown', ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (!step) return;
      const next = tabs[(number + step + tabs.length) % tabs.length];
      choose(next);
      next.focus();
    });
  }
  return choose;
}

const tabs = [get('live-tab'), get('file-tab')];
const choose = prepareTabs(tabs);
const file = new FilePanel({ options, failed: shows('file-problem') });
new LivePanel({ options, failed: shows('live-problem') });

get('settings').addEventListener('submit', (event) => event.preventDefault());
get('token-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  token.set(get('token').value.trim());
  get('token').value = '';
  get('token-problem').textContent = '';
  if ((await greet()) && !get('file').hidden) file.again();
});

// A file may be dropped anywhere on the page.
addEventListener('dragover', (event) => {
  if (![...event.dataTransfer.types].includes('Files')) return;
  event.preventDefault();
  document.body.classList.add('dragging');
});
addEventListener('dragleave', (event) => {
  if (!event.relatedTarget) document.body.classList.remove('dragging');
});
addEventListener('drop', (event) => {
  document.body.classList.remove('dragging');
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  choose(tabs[1]);
  file.read(event.dataTransfer.files[0]);
});

// An address with #token=... saves typing it; it is not left in the address bar.
const given = new URLSearchParams(location.hash.slice(1)).get('token');
if (given) {
  token.set(given);
  history.replaceState(null, '', location.pathname);
}
greet();
