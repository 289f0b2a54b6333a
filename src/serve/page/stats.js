// How much is in, how well it was read, and how fast questions are answered.

import { call } from './api.js';
import { bars, chart, line, shares } from './charts.js';
import { collection } from './collection.js';
import { h, debounced, problem, replace } from './dom.js';
import { t, bytes, date, number, percent } from './text.js';

const VERDICTS = ['ok', 'blank', 'empty', 'garbled', 'failed'];

export function statsView() {
  const body = h('div');
  async function refresh() {
    try {
      const { data } = await call('/api/documents/stats/summary', { query: { collection: collection.current } });
      replace(body, totals(data), h('div', { class: 'charts' }, [overTime(data), verdicts(data), latency(data)].filter(Boolean)));
    } catch (error) {
      replace(body, problem(error, refresh));
    }
  }
  const soon = debounced(refresh, 500);
  // Drawn anew only when something came or went, so that an opened table stays open.
  const happened = (type) => { if (['document.indexed', 'document.removed', 'document.failed'].includes(type)) soon(); };
  return { title: t('stats'), node: h('div', { class: 'view' }, h('h1', {}, t('stats')), body), refresh, happened };
}

function totals({ documents, pages, chunks, bytes: stored, jobs, queries, types }) {
  const kinds = Object.entries(types ?? {}).map(([type, count]) => `${type} ${number(count)}`).join(', ');
  const states = Object.entries(jobs ?? {}).filter(([, count]) => count > 0)
    .map(([state, count]) => `${t(`state.${state}`)} ${number(count)}`).join(', ');
  const sum = Object.values(jobs ?? {}).reduce((all, each) => all + each, 0);
  const all = [
    ['documents', number(documents), kinds], ['pages', number(pages)], ['chunks', number(chunks)], ['bytes', bytes(stored ?? 0)],
    ['questions', number(queries?.count)], ['jobs', number(sum), states],
  ];
  return h('dl', { class: 'totals' }, all.map(([label, value, note]) =>
    h('div', {}, h('dt', {}, t(label)), h('dd', {}, value, note ? h('small', {}, note) : null))));
}

function overTime({ by_day: days }) {
  if (!days?.length) return null;
  const most = [Math.max(...days.map((day) => day.documents)), Math.max(...days.map((day) => day.pages))];
  const sum = (key) => number(days.reduce((total, day) => total + day[key], 0));
  const [from, to] = [date(days[0].date), date(days.at(-1).date)];
  const figure = chart(t('overTime'), t('chartDays', sum('documents'), sum('pages'), from, to),
    bars(days.map((day) => [day.documents, day.pages]), most, ['documents', 'pages']), [from, to],
    [t('day'), t('documents'), t('pages')], days.map((day) => [date(day.date), number(day.documents), number(day.pages)]));
  const maximum = (kind, value) => [kind, `${t(kind)} (≤ ${number(value)})`];
  figure.firstChild.after(legend([maximum('documents', most[0]), maximum('pages', most[1])]));
  return figure;
}

function verdicts({ verdicts: counts }) {
  const total = VERDICTS.reduce((sum, verdict) => sum + (counts?.[verdict] ?? 0), 0);
  if (!total) return null;
  const present = VERDICTS.filter((verdict) => counts[verdict] > 0);
  const told = present.map((verdict) => `${t(`verdict.${verdict}`)} ${number(counts[verdict])}`);
  const figure = chart(t('verdicts'), told.join(', '), shares(present.map((verdict) => counts[verdict]), present), [],
    [t('quality'), t('pages'), t('share')],
    VERDICTS.map((verdict) => [t(`verdict.${verdict}`), number(counts[verdict]), percent((counts[verdict] ?? 0) / total)]));
  figure.classList.add('low');
  figure.firstChild.after(legend(present.map((verdict, at) => [verdict, told[at]])));
  return figure;
}

function latency({ queries }) {
  const recent = queries?.recent_ms ?? [];
  if (!recent.length) return h('figure', {}, h('figcaption', {}, t('latency')), h('p', { class: 'hint' }, t('noQueries')));
  const written = (value) => `${number(value, 1)} ms`;
  const levels = [queries.p50_ms, queries.p95_ms];
  const figure = chart(`${t('latency')} (${t('latest', recent.length)})`,
    t('chartLatency', number(Math.min(...recent), 1), number(Math.max(...recent), 1)), line(recent, levels), [],
    [t('question'), t('milliseconds')],
    [[t('p50'), number(levels[0], 1)], [t('p95'), number(levels[1], 1)], ...recent.map((value, at) => [number(at + 1), number(value, 1)])]);
  figure.firstChild.after(legend([['p50', `${t('p50')} ${written(levels[0])}`], ['p95', `${t('p95')} ${written(levels[1])}`]]));
  return figure;
}

function legend(entries) {
  return h('ul', { class: 'legend' }, entries.map(([kind, text]) => h('li', { class: kind }, text)));
}
