// What was given to a parser: how far it is, what failed and why.

import { call } from './api.js';
import { collection } from './collection.js';
import { h, button, cell, debounced, pager, problem, replace, select } from './dom.js';
import { session } from './session.js';
import { t, moment, number } from './text.js';

const STATES = ['queued', 'uploading', 'submitted', 'processing', 'completed', 'failed', 'expired', 'lost'];
const COLUMNS = ['document', 'state', 'pages', 'service', 'attempts', 'updated', 'actions'];
const AGAIN = ['failed', 'expired', 'lost', 'cancelled'];

let asked = { page: 1, state: '' };

export function jobsView() {
  const table = h('div');
  const trouble = h('div');
  const notes = new Map(); // what went wrong with a row, by job

  async function refresh() {
    const mine = asked;
    try {
      const list = await call('/api/jobs', { query: { ...asked, page_size: 20, collection: collection.current } });
      if (mine !== asked) return;
      replace(trouble);
      const rows = h('table', { class: 'to-cards' }, h('caption', { class: 'unseen' }, t('jobs')),
        h('thead', {}, h('tr', {}, COLUMNS.map((each) => h('th', { scope: 'col' }, t(each))))),
        h('tbody', {}, list.data.map(row)));
      const empty = h('p', { class: 'hint' }, t(asked.state ? 'nothingFits' : 'nothingYet'));
      replace(table, list.data.length ? rows : empty, pager(list, (page) => ask({ page })));
    } catch (error) {
      replace(trouble, problem(error, refresh));
    }
  }

  function ask(change) {
    asked = { ...asked, page: 1, ...change };
    refresh();
  }

  function row(job) {
    const { job_id: id, collection: home, state, name, error, service, attempts, pages, updated_at: updated } = job;
    const act = (key, verb) => button(t(key), () => attempt(id, home, verb),
      { 'data-key': `${key} ${id}`, 'aria-label': `${t(key)}: ${name}`, class: 'quiet' });
    return h('tr', { 'data-job': id },
      h('th', { scope: 'row' }, name, h('small', {}, id), error ? h('span', { class: 'why' }, error) : null,
        notes.has(id) ? problem(notes.get(id)) : null),
      cell(t('state'), h('span', { class: `stage ${state}` }, t(`state.${state}`))),
      cell(t('pages'), pages === null ? '–' : number(pages)), cell(t('service'), service), cell(t('attempts'), number(attempts)),
      cell(t('updated'), h('time', { datetime: updated }, moment(updated))),
      cell(null,
        session.mayWrite && AGAIN.includes(state) ? act('retry', 'retry') : null,
        session.mayWrite && state === 'queued' ? act('cancelJob', 'cancel') : null));
  }

  async function attempt(id, home, verb) {
    notes.delete(id);
    try {
      await call(`/api/jobs/${id}/${verb}`, { method: 'POST', query: { collection: home } });
    } catch (error) {
      notes.set(id, error);
    }
    refresh();
  }

  const soon = debounced(refresh, 300);
  const states = [['', t('all')], ...STATES.map((state) => [state, t(`state.${state}`)])];
  return {
    title: t('jobs'),
    node: h('div', { class: 'view' }, h('h1', {}, t('jobs')),
      h('div', { class: 'filters' }, h('label', { class: 'field' }, h('span', {}, t('state')),
        select(states, asked.state, { onchange: ({ target }) => ask({ state: target.value }) }))),
      trouble, table),
    refresh,
    happened: (type) => { if (type !== 'document.embedding') soon(); },
  };
}
