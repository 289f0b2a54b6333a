// Builds elements. Text goes in as text nodes only: what a document says is never markup.

import { t, number } from './text.js';

export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function button(text, onclick, attributes = {}) {
  return h('button', { type: 'button', onclick, ...attributes }, text);
}

/** A labelled field of a form. */
export function field(label, control, hint) {
  return h('label', { class: 'field' }, h('span', {}, label), control, hint ? h('small', {}, hint) : null);
}

export function select(options, chosen, attributes = {}) {
  return h('select', attributes, options.map(([value, text]) => h('option', { value, selected: value === chosen }, text)));
}

/** What went wrong, where it went wrong. */
export function problem(error, retry) {
  return h('div', { class: 'problem', role: 'alert' },
    h('span', {}, error.message),
    retry ? button(t('tryAgain'), retry) : null);
}

/** One cell of a table that turns into cards where room is short; there `label` stands before the value. */
export function cell(label, ...children) {
  return h('td', { 'data-label': label, class: label === null ? 'acts' : null }, h('div', {}, ...children));
}

export function pager({ total, page, total_pages: pages }, go) {
  if (!(pages > 1)) return h('p', { class: 'pager' }, t('total', total ?? 0));
  return h('nav', { class: 'pager', 'aria-label': t('pagesOfList') },
    button(t('previous'), () => go(page - 1), { disabled: page <= 1, 'data-key': 'previous' }),
    h('span', {}, t('pageOf', number(page), number(pages)), ' · ', t('total', total)),
    button(t('next'), () => go(page + 1), { disabled: page >= pages, 'data-key': 'next' }));
}

/** Puts `children` in place of what `node` holds; the focus stays on the control with the same key. */
export function replace(node, ...children) {
  const key = node.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
  if (key) node.querySelector(`[data-key="${CSS.escape(key)}"]:not(:disabled)`)?.focus();
}

/** Gives the focus back to `control`, or to what stands in its place if the list was drawn anew. */
export function refocus(control) {
  const key = control?.dataset?.key;
  if (control?.isConnected) control.focus();
  else if (key) document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

/** Runs `work` once, `wait` milliseconds after the last call. */
export function debounced(work, wait) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, wait);
  };
}
