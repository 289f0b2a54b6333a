// The list of documents on their way in, with the stage each has reached.

import { h, button } from './dom.js';
import { t } from './text.js';
import { dismiss, ended, entries, uploads } from './uploads.js';

const MOST = 60;

let showing = null;
uploads.addEventListener('change', () => showing?.());

export function underWay() {
  const list = h('ol', { class: 'underway' });
  const told = h('p', { role: 'status', class: 'status' });
  const clear = button(t('dismiss'), dismiss, { class: 'quiet' });
  const node = h('section', { 'aria-labelledby': 'underway' },
    h('div', { class: 'row' }, h('h2', { id: 'underway' }, t('underWay')), told, clear), list);

  showing = () => {
    const done = entries.filter(ended);
    const failed = done.filter((entry) => entry.stage === 'failed').length;
    node.hidden = entries.length === 0;
    clear.hidden = done.length === 0;
    const summary = entries.length ? t('progress', done.length, entries.length, failed) : '';
    if (told.textContent !== summary) told.textContent = summary;
    // What is moving comes first, then what went wrong, then what is done; the latest of each on top.
    const rank = (entry) => (!ended(entry) ? 0 : entry.stage === 'failed' ? 1 : 2);
    const sorted = entries.toReversed().sort((one, other) => rank(one) - rank(other));
    const rest = sorted.length - MOST;
    list.replaceChildren(...sorted.slice(0, MOST).map(row), ...(rest > 0 ? [h('li', { class: 'hint' }, t('moreRows', rest))] : []));
  };
  showing();
  return node;
}

function row({ name, stage, chunks, of, pages, error }) {
  return h('li', { class: stage, 'data-stage': stage },
    h('span', { class: 'name' }, name),
    meter(stage, chunks, of),
    h('span', { class: `stage ${stage}` }, t(`stage.${stage}`), stage === 'indexed' && pages ? ` · ${t('pagesIn', pages)}` : ''),
    error ? h('span', { class: 'why' }, error) : null);
}

function meter(stage, chunks, of) {
  if (stage === 'embedding' && of) {
    return h('progress', { max: of, value: chunks ?? 0, 'aria-label': t('chunksOf', chunks ?? 0, of), title: t('chunksOf', chunks ?? 0, of) });
  }
  return ['sending', 'parsing', 'embedding'].includes(stage) ? h('progress', { 'aria-label': t(`stage.${stage}`) }) : null;
}
