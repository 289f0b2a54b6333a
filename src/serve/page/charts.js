// Small charts drawn by hand, each with its numbers in words and as a table.

import { h, svg } from './dom.js';
import { t } from './text.js';

const WIDE = 100;
const HIGH = 40;

/** A figure: `words` for those who do not see it, `ends` under its axis, `rows` behind "as a table". */
export function chart(title, words, drawing, ends, columns, rows) {
  return h('figure', {},
    h('figcaption', {}, title),
    svg('svg', { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': words }, drawing),
    h('div', { class: 'ends', 'aria-hidden': 'true' }, ends.map((end) => h('span', {}, end))),
    h('details', {}, h('summary', {}, t('asTable')),
      h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': title }, h('table', {}, h('caption', { class: 'unseen' }, title),
        h('thead', {}, h('tr', {}, columns.map((column) => h('th', { scope: 'col' }, column)))),
        h('tbody', {}, rows.map(([first, ...rest]) => h('tr', {}, h('th', { scope: 'row' }, first), rest.map((each) => h('td', {}, each)))))))));
}

/** Groups of bars; each series has its own scale, given as its largest value. */
export function bars(groups, largest, kinds) {
  const step = WIDE / groups.length;
  const wide = Math.min((step * 0.8) / kinds.length, 6);
  return groups.flatMap((values, at) => values.map((value, series) => {
    const high = largest[series] ? (value / largest[series]) * (HIGH - 1) : 0;
    const x = at * step + step / 2 + (series - kinds.length / 2) * wide;
    return svg('rect', { class: kinds[series], x, y: HIGH - high, width: wide * 0.92, height: high });
  }));
}

/** One bar cut into shares. */
export function shares(values, kinds) {
  const total = values.reduce((sum, each) => sum + each, 0) || 1;
  let x = 0;
  return values.map((value, at) => {
    const width = (value / total) * WIDE;
    x += width;
    return svg('rect', { class: kinds[at], x: x - width, y: 0, width, height: HIGH });
  });
}

/** A line through `values`, with level lines at `levels`. */
export function line(values, levels) {
  const top = Math.max(...values, ...levels, 1);
  const y = (value) => HIGH - 1 - (value / top) * (HIGH - 2);
  const x = (at) => (values.length > 1 ? (at / (values.length - 1)) * WIDE : WIDE / 2);
  return [
    ...levels.map((level, at) => svg('line', { class: `level level-${at}`, x1: 0, x2: WIDE, y1: y(level), y2: y(level) })),
    svg('polyline', { class: 'line', points: values.map((value, at) => `${x(at)},${y(value)}`).join(' ') }),
  ];
}
