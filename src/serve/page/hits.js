// Passages and quotes as cards that open the page they stand on.

import { h, button } from './dom.js';
import { t, number } from './text.js';
import { open } from './viewer.js';

/** `text` with the part from `start` to `end` marked, both counted in characters. */
export function marked(text, start, end, kind, inside = (part) => part.join('')) {
  // Array.from splits into code points, as the server counts; slice on the string would count UTF-16 units.
  const points = Array.from(text);
  return [
    points.slice(0, start).join(''),
    h('mark', { class: kind }, inside(points.slice(start, end))),
    points.slice(end).join(''),
  ];
}

export function quotes(citations) {
  return h('ol', { class: 'cards quotes' }, citations.map((citation) => card({ ...citation, quoted: citation },
    citation.header ? h('p', { class: 'lead' }, citation.header) : null,
    h('blockquote', { dir: 'auto' }, quote(citation)))));
}

export function passages(hits) {
  return h('ol', { class: 'cards' }, hits.map((hit) => card({ ...hit, quoted: hit },
    h('p', { class: 'passage', dir: 'auto' }, hit.text))));
}

function card({ document: path, document_id, page_number: page, score, quoted }, ...content) {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const look = () => open({ document_id, name, page, quoted });
  const link = button([h('b', {}, name), ' · ', t('page', page)], look, { class: 'link', title: path });
  // A click anywhere opens the page, except one that ends a selection: quotes are there to be copied.
  const click = ({ target }) => {
    if (!link.contains(target) && getSelection().isCollapsed) {
      link.focus();
      look();
    }
  };
  return h('li', { class: 'card', onclick: click },
    h('div', { class: 'where' }, link, score === undefined ? null : h('small', {}, number(score, 3))), content);
}

function quote({ quote: text, start, span }) {
  const from = span ? span.start - start : -1;
  const within = from >= 0 && Array.from(text).slice(from, from + span.end - span.start).join('') === span.text;
  return within ? marked(text, from, from + span.end - span.start, 'span') : [text];
}
