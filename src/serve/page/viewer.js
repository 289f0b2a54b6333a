// The text of a page in a dialog, with what was quoted from it highlighted.

import { call, download } from './api.js';
import { collection as chosen } from './collection.js';
import { h, button, problem, refocus, replace } from './dom.js';
import { marked } from './hits.js';
import { t } from './text.js';

let shown = null;

/** Opens `page` of a document; `quoted` is a citation or a hit with its `start` and `end` there. */
export function open({ document_id: id, name, page, quoted = null, collection = chosen.current }) {
  shown?.close();
  const heading = h('h2', { id: 'viewer-name' }, name);
  const place = h('p', { class: 'place', role: 'status' });
  const body = h('div', { class: 'page', tabindex: 0, role: 'region', 'aria-label': t('pageText'), dir: 'auto' });
  const trouble = h('div');
  const earlier = button('←', () => turn(-1), { 'aria-label': t('previousPage'), title: t('previousPage'), class: 'turn' });
  const later = button('→', () => turn(1), { 'aria-label': t('nextPage'), title: t('nextPage'), class: 'turn' });
  const save = button(t('download'), () => download({ document_id: id, name, collection }).catch((error) => replace(trouble, problem(error))));
  const dialog = h('dialog', { class: 'viewer', 'aria-labelledby': 'viewer-name', onkeydown: keys },
    h('header', {}, h('div', {}, heading, place), earlier, later, save,
      button('✕', () => dialog.close(), { 'aria-label': t('close'), title: t('close') })),
    trouble, body);
  const opener = document.activeElement;
  dialog.addEventListener('close', () => {
    dialog.remove();
    shown = null;
    refocus(opener);
  });
  dialog.addEventListener('click', ({ target }) => { if (target === dialog) dialog.close(); });

  let current = page;
  let pages = page;

  function keys(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    turn(step);
  }

  function turn(step) {
    const next = current + step;
    if (next < 1 || next > pages) return;
    current = next;
    load();
  }

  async function load() {
    const asked = current;
    body.setAttribute('aria-busy', 'true');
    try {
      const { data } = await call(`/api/documents/${id}/pages/${asked}`, { query: { collection } });
      if (asked !== current) return; // turned on meanwhile
      pages = data.pages;
      replace(trouble);
      const verdict = data.verdict === 'ok' ? null : h('span', { class: `badge ${data.verdict}` }, t(`verdict.${data.verdict}`));
      place.replaceChildren(t('pageOf', asked, pages), ...(verdict ? [' ', verdict] : []));
      body.replaceChildren(...(asked === page && quoted ? highlighted(data.text, quoted) : [data.text || t('noText')]));
      body.scrollTop = 0;
      body.querySelector('mark')?.scrollIntoView({ block: 'center' });
    } catch (error) {
      if (asked !== current) return;
      body.replaceChildren();
      place.textContent = t('page', asked);
      replace(trouble, problem(error, load));
    }
    body.removeAttribute('aria-busy');
    // A button that is switched off under the focus would lose the keyboard.
    const focused = document.activeElement;
    earlier.disabled = current <= 1;
    later.disabled = current >= pages;
    if (focused?.disabled) body.focus();
  }

  shown = dialog;
  document.body.append(dialog);
  dialog.showModal();
  body.focus();
  load();
}

function highlighted(text, { start, end, span }) {
  const inner = span && span.start >= start && span.end <= end
    ? (points) => marked(points.join(''), span.start - start, span.end - start, 'span')
    : undefined;
  return marked(text, start, end, 'quoted', inner);
}
