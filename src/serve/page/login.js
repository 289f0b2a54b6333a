// Logging in and out, where the server asks for it.

import { call } from './api.js';
import { h, button, field, problem, replace } from './dom.js';
import { session } from './session.js';
import { t } from './text.js';

/** The form; `done` is called once the server has let somebody in. */
export function loginView(done) {
  const name = h('input', { name: 'username', required: true, autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false' });
  const password = h('input', { name: 'password', type: 'password', required: true, autocomplete: 'current-password' });
  const trouble = h('div');
  const enter = async (path) => {
    if (!form.reportValidity()) return;
    replace(trouble);
    try {
      const json = { username: name.value.trim(), password: password.value };
      session.begin((await call(path, { method: 'POST', json, open: true })).data);
      done();
    } catch (error) {
      replace(trouble, problem(error));
      password.select();
      password.focus();
    }
  };
  const submit = (event) => {
    event.preventDefault();
    enter('/api/auth/login');
  };
  const form = h('form', { class: 'login', onsubmit: submit },
    h('h1', {}, t('login')), h('p', { class: 'hint' }, t('loginWhy')), trouble,
    field(t('username'), name), field(t('password'), password),
    h('div', { class: 'row' },
      h('button', { class: 'main' }, t('login')),
      button(t('register'), () => enter('/api/auth/register'), { class: 'quiet' })));
  return { title: t('login'), node: h('div', { class: 'view' }, form), focus: () => name.focus() };
}

/** Tells the server, and forgets the tokens whatever it says. */
export async function logout() {
  const tokens = session.tokens;
  session.end();
  if (!tokens) return;
  const headers = { Authorization: `Bearer ${tokens.access_token}` };
  await call('/api/auth/logout', { method: 'POST', json: { refresh_token: tokens.refresh_token }, headers, open: true }).catch(() => {});
}
