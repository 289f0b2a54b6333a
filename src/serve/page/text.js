// The language of the page, and numbers and dates as that language writes them.

import en from './en.js';
import ko from './ko.js';

const KEPT = 'squall.language';
const tables = { en, ko };

export let language = localStorage.getItem(KEPT)
  ?? (navigator.language.toLowerCase().startsWith('ko') ? 'ko' : 'en');
if (!(language in tables)) language = 'en';

export function speak(next) {
  language = next;
  localStorage.setItem(KEPT, next);
}

/** The text for `key`; texts that depend on something are functions. */
export function t(key, ...values) {
  const text = tables[language][key] ?? en[key] ?? key;
  return typeof text === 'function' ? text(...values) : text;
}

/** Writes the texts into the parts of a page that stand in its HTML. */
export function translate(root) {
  document.documentElement.lang = language;
  for (const node of root.querySelectorAll('[data-text]')) node.textContent = t(node.dataset.text);
  for (const node of root.querySelectorAll('[data-aria]')) node.setAttribute('aria-label', t(node.dataset.aria));
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value ?? 0);
}

export function percent(value) {
  return new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 0 }).format(value);
}

export function bytes(value) {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
  const step = value > 0 ? Math.min(Math.floor(Math.log10(value) / 3), units.length - 1) : 0;
  return new Intl.NumberFormat(language, {
    style: 'unit', unit: units[step], unitDisplay: step ? 'short' : 'long', maximumSignificantDigits: 3,
  }).format(value / 1000 ** step).replace(' ', '\u00a0');
}

export function date(value) {
  return written(value, { dateStyle: 'medium' });
}

export function moment(value) {
  return written(value, { dateStyle: 'medium', timeStyle: 'short' });
}

function written(value, style) {
  const parsed = new Date(value);
  return Number.isNaN(parsed.getTime()) ? '' : new Intl.DateTimeFormat(language, style).format(parsed);
}
