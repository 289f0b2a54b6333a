// Follows what happens on the server, and comes back when the connection breaks.

import { request, events } from './api.js';

/** Tells "event" (detail: the event), "open" after every connection, "lost" when one fails. */
export const live = new EventTarget();

const SILENCE = 60_000; // the server sends a heartbeat well within this
const LONGEST_WAIT = 15_000;

let last = null;
let stopping = null;

export function start() {
  stop();
  stopping = new AbortController();
  follow(stopping.signal);
}

export function stop() {
  stopping?.abort();
  stopping = null;
}

async function follow(stopped) {
  let failures = 0;
  while (!stopped.aborted) {
    try {
      await listen(stopped, () => { failures = 0; });
    } catch (error) {
      if (stopped.aborted || error.status === 401) return;
      failures += 1;
    }
    if (stopped.aborted) return;
    // A stream that merely ended is opened again at once; only a refused connection is news.
    if (failures > 0) live.dispatchEvent(new Event('lost'));
    await pause(Math.min(500 * 2 ** failures, LONGEST_WAIT), stopped);
  }
}

async function listen(stopped, opened) {
  const broken = new AbortController();
  const give_up = () => broken.abort();
  stopped.addEventListener('abort', give_up);
  let watch;
  const heard = () => {
    clearTimeout(watch);
    watch = setTimeout(give_up, SILENCE);
  };
  try {
    const headers = last === null ? {} : { 'Last-Event-ID': last };
    const response = await request('/api/events', { headers, signal: broken.signal });
    opened();
    heard();
    live.dispatchEvent(new Event('open'));
    for await (const { id, type, data } of events(response)) {
      heard();
      if (id !== null) last = id;
      if (type && data) live.dispatchEvent(new CustomEvent('event', { detail: { ...data, type } }));
    }
  } finally {
    clearTimeout(watch);
    stopped.removeEventListener('abort', give_up);
  }
}

function pause(milliseconds, stopped) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    const now = () => { clearTimeout(timer); resolve(); };
    stopped.addEventListener('abort', now, { once: true });
    addEventListener('online', now, { once: true });
  });
}
