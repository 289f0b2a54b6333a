// Passages for words or a sentence, within filters.

import { call } from './api.js';
import { collection } from './collection.js';
import { h, button, field, problem, replace, select } from './dom.js';
import { passages } from './hits.js';
import { t, number } from './text.js';

// What was typed and found survives a look at another view and a change of language.
let typed = {};
let found = null;
let searching = null;

collection.addEventListener('change', () => {
  searching?.abort();
  found = null;
});

export function searchView() {
  const input = (name, attributes = {}) => h('input', { name, value: typed[name] ?? '', autocomplete: 'off', ...attributes });
  const results = h('section');
  const status = h('p', { class: 'status', role: 'status' });
  const modes = [['hybrid', t('hybrid')], ['lexical', t('lexical')], ['semantic', t('semantic')]];
  const counts = ['5', '10', '20', '50'].map((each) => [each, each]);
  const query = input('query', { id: 'search', type: 'search', required: true, 'aria-label': t('search'), placeholder: t('searchHint') });
  const form = h('form', { role: 'search', onsubmit: submit, oninput: () => { typed = Object.fromEntries(new FormData(form)); } },
    h('div', { class: 'question' }, query, h('button', { class: 'main' }, t('search'))),
    h('fieldset', { class: 'filters' }, h('legend', {}, t('filters')),
      field(t('mode'), select(modes, typed.mode ?? 'hybrid', { name: 'mode' })),
      field(t('results'), select(counts, typed.top_k ?? '10', { name: 'top_k' })),
      field(t('pathPrefix'), input('path'), t('pathHint')),
      field(t('tags'), input('tag'), t('tagHint')),
      field(t('pages'), input('pages', { pattern: '\\s*\\d+(\\s*-\\s*\\d+)?\\s*', title: t('pagesHint') }), t('pagesHint')),
      field(t('since'), input('since', { type: 'date' })),
      field(t('until'), input('until', { type: 'date' })),
      button(t('clear'), clear, { class: 'quiet' })));

  function clear() {
    typed = { query: query.value };
    for (const control of form.querySelectorAll('.filters input')) control.value = '';
    for (const control of form.querySelectorAll('.filters select')) {
      control.value = control.name === 'mode' ? 'hybrid' : '10';
    }
  }

  async function submit(event) {
    event.preventDefault();
    searching?.abort();
    const mine = searching = new AbortController();
    typed = Object.fromEntries(new FormData(form));
    status.textContent = t('looking');
    try {
      found = (await call('/api/search', { method: 'POST', json: body(typed), signal: mine.signal })).data;
      show();
    } catch (error) {
      if (error.name === 'AbortError') return;
      status.textContent = '';
      replace(results, problem(error, () => form.requestSubmit()));
    }
  }

  function show() {
    if (!found) return;
    const total = found.timings_ms?.total;
    status.textContent = found.hits.length ? t('hits', found.hits.length, total >= 1 ? number(total) : '') : t('noHits');
    replace(results, passages(found.hits));
  }

  show();
  return {
    title: t('search'),
    node: h('div', { class: 'view' }, h('h1', { class: 'unseen' }, t('search')), form, status, results),
    focus: () => query.focus(),
  };
}

/** Only what was filled in: an absent filter lets everything through, an empty one may not. */
function body({ query, mode, top_k, path, tag, pages, since, until }) {
  const filter = {};
  if (path.trim()) filter.path = listed(path);
  if (tag.trim()) filter.tag = tags(tag);
  if (pages.trim()) filter.pages = pages.replace(/\s/g, '');
  if (since) filter.since = since;
  if (until) filter.until = until;
  const whole = { query: query.trim(), mode, top_k: Number(top_k) };
  if (collection.current) whole.collection = collection.current;
  if (Object.keys(filter).length) whole.filter = filter;
  return whole;
}

export function listed(text) {
  return text.split(',').map((each) => each.trim()).filter(Boolean);
}

function tags(text) {
  return Object.fromEntries(listed(text).map((each) => {
    const at = each.indexOf('=');
    if (at < 1) throw new Error(t('badTag', each));
    return [each.slice(0, at).trim(), each.slice(at + 1).trim()];
  }));
}
