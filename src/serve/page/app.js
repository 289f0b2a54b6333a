// The shell: which view is shown, in which language, for whom, and whether the server is there.

import { api, call } from './api.js';
import { askView } from './ask.js';
import * as collections from './collection.js';
import { add, documentsView } from './documents.js';
import { h, debounced, problem } from './dom.js';
import { watchDrops } from './drop.js';
import { jobsView } from './jobs.js';
import * as connection from './live.js';
import { loginView, logout } from './login.js';
import { searchView } from './search.js';
import { session } from './session.js';
import { statsView } from './stats.js';
import { language, speak, t, translate } from './text.js';

const views = { ask: askView, search: searchView, documents: documentsView, jobs: jobsView, stats: statsView };
const at = (id) => document.getElementById(id);

let view = null;
let admitted = false;

function show(next) {
  view = next;
  document.title = `${view.title} · Squall`;
  at('main').replaceChildren(view.node);
  view.refresh?.();
}

function route() {
  if (!admitted) return;
  const name = location.hash.slice(1) in views ? location.hash.slice(1) : 'ask';
  for (const link of at('nav').children) {
    if (link.hash === `#${name}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  show(views[name]());
}

function arrive() {
  route();
  // A box takes the focus only where that does not pull up a keyboard over the page.
  if (admitted && matchMedia('(hover: hover)').matches) view.focus?.();
}

async function begin() {
  try {
    const { data: me } = await call('/api/users/me');
    session.role = me.role;
    await collections.refresh();
  } catch (error) {
    if (error.status === 401) return; // "login" was told
    at('main').replaceChildren(h('div', { class: 'view' }, problem(error, begin)));
    return;
  }
  admitted = true;
  frame();
  connection.start();
  arrive();
}

function askForLogin() {
  if (!admitted && view?.title === t('login')) return;
  admitted = false;
  connection.stop();
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  frame();
  show(loginView(begin));
  view.focus();
}

/** What surrounds the view. */
function frame() {
  translate(document);
  at('nav').hidden = !admitted;
  at('logout').hidden = !admitted || !session.tokens;
  if (!admitted) at('collections').hidden = true;
  at('language').textContent = t('otherLanguage');
  at('language').lang = language === 'en' ? 'ko' : 'en';
}

function switchLanguage() {
  speak(language === 'en' ? 'ko' : 'en');
  frame();
  if (admitted) route();
  else if (view) show(loginView(begin));
  at('language').focus();
}

function tell(text) {
  at('connection').textContent = text;
  at('connection').hidden = !text;
}

let lost = false;
connection.live.addEventListener('lost', () => {
  lost = true;
  at('connection').className = 'connection';
  tell(t('lost'));
});
connection.live.addEventListener('open', () => {
  if (!lost) return;
  lost = false;
  at('connection').className = 'connection good';
  tell(t('restored'));
  setTimeout(() => { if (!lost) tell(''); }, 4000);
  view?.refresh?.();
});
// The first document of a collection makes it known.
const newcomers = debounced(() => collections.refresh().catch(() => {}), 1000);
connection.live.addEventListener('event', ({ detail }) => {
  if (detail.type !== 'document.embedding') newcomers();
  view?.happened?.(detail.type);
});

addEventListener('hashchange', arrive);
addEventListener('keydown', (event) => {
  const typing = event.target.closest?.('input, textarea, select, [contenteditable], dialog');
  if (event.key !== '/' || typing || !admitted || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  if (!view.focus) location.hash = '#ask';
  else view.focus();
});
api.addEventListener('login', askForLogin);
collections.collection.addEventListener('change', route);
at('collection').addEventListener('change', ({ target }) => collections.choose(target.value));
at('language').addEventListener('click', switchLanguage);
at('logout').addEventListener('click', async () => { await logout(); askForLogin(); });
at('skip').addEventListener('click', (event) => { event.preventDefault(); at('main').focus(); });
watchDrops(at('drop'), () => admitted && session.mayWrite, (files) => {
  location.hash = '#documents';
  add(files);
});

frame();
begin();
call('/health', { open: true }).then(({ version }) => { at('version').textContent = `Squall ${version}`; }).catch(() => {});
