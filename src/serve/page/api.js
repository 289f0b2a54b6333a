// Talks to the server: the envelope, its errors, tokens and their renewal, event streams.

import { session } from './session.js';
import { t } from './text.js';

/** Tells "login" when the server wants one. */
export const api = new EventTarget();

/** What the server refused, or why it could not be asked. */
export class Refusal extends Error {
  constructor(message, code, status = 0) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** The envelope of the reply to `path`. */
export async function call(path, options = {}) {
  const response = await request(path, options);
  return envelope(response);
}

/** The response itself, for what is not JSON: downloads and event streams. */
export async function request(path, options = {}) {
  if (!options.open && session.tokens && session.tokens.until < Date.now() + 10_000) await renew(session.tokens);
  const used = session.tokens;
  let response = await send(path, options);
  if (response.status === 401 && !options.open && used) {
    await renew(used);
    if (session.tokens) response = await send(path, options);
  }
  if (response.ok) return response;
  const error = await refusal(response);
  if (error.status === 401 && !options.open) {
    session.end();
    api.dispatchEvent(new Event('login'));
  }
  throw error;
}

async function send(path, { method = 'GET', query = {}, json, form, headers = {}, signal, open }) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') url.searchParams.append(name, value);
  }
  headers = { ...headers };
  if (json !== undefined) headers['Content-Type'] = 'application/json';
  const tokens = session.tokens;
  if (tokens && !open) headers.Authorization = `Bearer ${tokens.access_token}`;
  const body = json === undefined ? form : JSON.stringify(json);
  try {
    return await fetch(url, { method, headers, body, signal, cache: 'no-store' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refusal(t('offline'), 'OFFLINE');
  }
}

async function envelope(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refusal(t('unreadable', response.status), 'UNREADABLE', response.status);
  }
}

async function refusal(response) {
  try {
    const { message, error_code: code } = await response.json();
    if (message) return new Refusal(message, code, response.status);
  } catch { /* not JSON: a proxy spoke, not the server */ }
  return new Refusal(t('unreadable', response.status), 'UNREADABLE', response.status);
}

// Calls that find the token stale at the same time share one renewal: a refresh token is good for one use.
let renewal = null;

async function renew(used) {
  if (session.tokens?.access_token !== used.access_token) return;
  renewal ??= (async () => {
    const response = await send('/api/auth/refresh', { method: 'POST', json: { refresh_token: used.refresh_token }, open: true });
    if (response.ok) session.begin((await envelope(response)).data);
    else if (response.status < 500) session.end();
  })().finally(() => { renewal = null; });
  await renewal;
}

/** The events of a stream as {id, type, data}; a heartbeat is one without a type. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split(/\r?\n\r?\n/);
      rest = blocks.pop();
      yield* blocks.map(event);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function event(block) {
  const found = { id: null, type: null, data: null };
  for (const line of block.split(/\r?\n/)) {
    const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (name === 'id') found.id = value;
    if (name === 'event') found.type = value;
    if (name === 'data') found.data = found.data === null ? value : `${found.data}\n${value}`;
  }
  if (found.data !== null) found.data = JSON.parse(found.data);
  return found;
}

/** Saves the original of a document; through fetch, since a plain link could not carry the token. */
export async function download({ document_id: id, name, collection }) {
  const response = await request(`/api/documents/${id}/download`, { query: { collection } });
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
