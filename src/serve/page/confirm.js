// A real question before something is lost.

import { h, button, problem, refocus, replace } from './dom.js';
import { t } from './text.js';

/** Asks, and on yes runs `act`; the dialog stays, with the reason, while that fails. */
export function confirm(title, text, yes, act) {
  const opener = document.activeElement;
  const trouble = h('div');
  const no = button(t('cancel'), () => dialog.close(), { autofocus: true });
  const go = button(yes, async () => {
    go.disabled = true;
    try {
      await act();
      dialog.close();
    } catch (error) {
      go.disabled = false;
      replace(trouble, problem(error));
    }
  }, { class: 'danger' });
  const dialog = h('dialog', { class: 'confirm', 'aria-labelledby': 'confirm-title', 'aria-describedby': 'confirm-text' },
    h('h2', { id: 'confirm-title' }, title), h('p', { id: 'confirm-text' }, text), trouble,
    h('div', { class: 'row end' }, no, go));
  dialog.addEventListener('close', () => {
    dialog.remove();
    refocus(opener);
  });
  document.body.append(dialog);
  dialog.showModal();
  no.focus();
}
