// The documents of a collection: adding them, finding them, and what can be done with each.

import { call, download } from './api.js';
import { collection as chosen } from './collection.js';
import { confirm } from './confirm.js';
import { h, button, cell, debounced, field, pager, problem, replace, select } from './dom.js';
import { listed } from './search.js';
import { session } from './session.js';
import { t, bytes, date, moment, number } from './text.js';
import { underWay } from './underway.js';
import { follow, send } from './uploads.js';
import { open } from './viewer.js';

// Label, and the key it is sorted by where it can be.
const COLUMNS = [
  ['name', 'name'], ['type'], ['pages', 'pages'], ['quality'], ['tags'], ['size', 'size'], ['date', 'created_at'], ['state'], ['actions'],
];
const STATES = ['indexed', 'queued', 'uploading', 'submitted', 'processing', 'failed', 'expired', 'lost'];
const BAD = ['empty', 'garbled', 'failed'];

let asked = { page: 1, sort: '-created_at', name: '', state: '', type: '', tag: '' };
let tagsTyped = '';

/** Adds files with the tags that stand in the form. */
export function add(files) {
  send([...files], listed(tagsTyped));
}

export function documentsView() {
  const table = h('div', { 'aria-live': 'off' });
  const trouble = h('div');
  const said = h('p', { class: 'status', role: 'status' });
  const notes = new Map(); // what went wrong with a row, by document

  async function refresh() {
    const mine = asked;
    try {
      const list = await call('/api/documents', { query: { ...asked, page_size: 20, collection: chosen.current } });
      if (mine !== asked) return;
      if (list.data.length === 0 && asked.page > 1) return ask({ page: Math.max(1, list.total_pages) });
      replace(trouble);
      show(list);
    } catch (error) {
      replace(trouble, problem(error, refresh));
    }
  }

  function ask(change) {
    asked = { ...asked, page: 1, ...change };
    refresh();
  }

  function show(list) {
    const filtered = asked.name || asked.state || asked.type || asked.tag;
    const empty = h('p', { class: 'hint' }, t(filtered ? 'nothingFits' : 'nothingYet'));
    replace(table, list.data.length ? h('table', { class: 'to-cards' },
      h('caption', { class: 'unseen' }, t('documents')), head(ask),
      h('tbody', {}, list.data.map(row))) : empty, pager(list, (page) => ask({ page })));
  }

  function row(document) {
    const { document_id: id, collection, name, path, title, type, size, pages, state, error, created_at: added } = document;
    const look = () => open({ document_id: id, name, page: 1, collection });
    const readable = pages > 0;
    const act = (key, work, kind = 'quiet') =>
      button(t(key), work, { 'data-key': `${key} ${id}`, 'aria-label': `${t(key)}: ${name}`, class: kind });
    const under = [title !== name && title, path !== name && path].filter(Boolean).join(' · ');
    return h('tr', { 'data-document': id },
      h('th', { scope: 'row' },
        readable ? button(name, look, { class: 'link', 'data-key': `name ${id}` }) : name,
        under ? h('small', {}, under) : null, error ? h('span', { class: 'why' }, error) : null,
        notes.has(id) ? problem(notes.get(id)) : null),
      cell(t('type'), type), cell(t('pages'), number(pages)), cell(t('quality'), badges(document)),
      cell(t('tags'), Object.entries(document.tags ?? {}).map(([key, value]) => h('span', { class: 'tag' }, `${key}=${value}`))),
      cell(t('size'), bytes(size)), cell(t('date'), h('time', { datetime: added, title: moment(added) }, date(added))),
      cell(t('state'), h('span', { class: `stage ${state}` }, t(`state.${state}`))),
      cell(null,
        readable ? act('open', look) : null,
        document.has_original ? act('download', () => attempt(id, () => download(document))) : null,
        session.mayWrite && document.has_original ? act('reprocess', () => attempt(id, () => reprocess(document))) : null,
        session.mayWrite ? act('remove', () => remove(document), 'quiet danger') : null));
  }

  async function attempt(id, work) {
    notes.delete(id);
    said.textContent = '';
    try {
      await work();
    } catch (error) {
      notes.set(id, error);
    }
    refresh();
  }

  async function reprocess({ document_id: id, collection, name }) {
    const { data } = await call(`/api/documents/${id}/reprocess`, { method: 'POST', query: { collection } });
    follow({ name, collection, ...[data].flat()[0] });
    said.textContent = `${name}: ${t('reprocessed')}`;
  }

  function remove({ document_id: id, collection, name }) {
    confirm(t('removeTitle'), t('removeWhy', name), t('remove'), async () => {
      await call(`/api/documents/${id}`, { method: 'DELETE', query: { collection } });
      said.textContent = t('removed', name);
      await refresh();
      heading.focus();
    });
  }

  const soon = debounced(refresh, 300);
  const heading = h('h1', { tabindex: -1 }, t('documents'));
  return {
    title: t('documents'),
    node: h('div', { class: 'view' }, heading, session.mayWrite ? adding() : null, underWay(), filters(ask), said, trouble, table),
    refresh,
    happened: (type) => { if (type !== 'document.embedding') soon(); },
  };
}

function adding() {
  const chosen = () => {
    add(files.files);
    files.value = '';
  };
  const files = h('input', { type: 'file', multiple: true, class: 'unseen', id: 'files', onchange: chosen });
  const tags = h('input', { value: tagsTyped, autocomplete: 'off', oninput: () => { tagsTyped = tags.value; } });
  return h('section', { class: 'adding' },
    h('div', {}, files, h('label', { for: 'files', class: 'button main' }, t('choose')), h('span', { class: 'hint' }, t('dropHint'))),
    field(t('tagsOfUpload'), tags, t('tagHint')));
}

function filters(ask) {
  const type = (name) => {
    const later = debounced(() => ask({ [name]: input.value.trim() }), 250);
    const input = h('input', { type: 'search', value: asked[name], autocomplete: 'off', oninput: later });
    return input;
  };
  const states = [['', t('all')], ...STATES.map((state) => [state, t(`state.${state}`)])];
  const sorts = COLUMNS.filter(([, key]) => key).flatMap(([label, key]) => [
    [key, `${t(label)}, ${t('ascending')}`], [`-${key}`, `${t(label)}, ${t('descending')}`]]);
  const chooser = (name, options, attributes) => h('label', { class: 'field' }, h('span', {}, t(name)),
    select(options, asked[name], { onchange: ({ target }) => ask({ [name]: target.value }), ...attributes }));
  return h('div', { class: 'filters', role: 'search' },
    field(t('nameFilter'), type('name')), chooser('state', states), field(t('type'), type('type')),
    field(t('tag'), type('tag'), 'year=2025'), chooser('sort', sorts, { id: 'sort' }));
}

function head(ask) {
  return h('thead', {}, h('tr', {}, COLUMNS.map(([label, key]) => {
    if (!key) return h('th', { scope: 'col' }, t(label));
    const down = asked.sort === `-${key}`;
    const sorted = asked.sort === key || down;
    const turn = () => {
      ask({ sort: asked.sort === key ? `-${key}` : key });
      document.getElementById('sort').value = asked.sort;
    };
    return h('th', { scope: 'col', 'aria-sort': sorted ? (down ? 'descending' : 'ascending') : 'none' },
      button([t(label), sorted ? (down ? ' ↓' : ' ↑') : ''].join(''), turn, { class: 'link', 'data-key': `sort ${key}` }));
  })));
}

function badges({ verdicts, pages }) {
  const bad = BAD.filter((verdict) => verdicts?.[verdict] > 0);
  if (bad.length) {
    return bad.map((verdict) => h('span', { class: `badge ${verdict}` }, `${t(`verdict.${verdict}`)} ${number(verdicts[verdict])}`));
  }
  return pages > 0 ? h('span', { class: 'fine' }, t('allRead')) : null;
}
