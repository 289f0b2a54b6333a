// Documents on their way in: those sent from here, and those the server tells of.

import { call } from './api.js';
import { collection } from './collection.js';
import { live } from './live.js';

/** Tells "change" when an entry does. */
export const uploads = new EventTarget();

/** Latest last: {name, collection, stage, chunks, of, pages, error, document_id, job_id}. */
export let entries = [];

const ENDED = ['indexed', 'known', 'failed'];
const STAGES = {
  'document.queued': 'queued', 'document.parsing': 'parsing', 'document.embedding': 'embedding',
  'document.indexed': 'indexed', 'document.failed': 'failed',
};

export const ended = (entry) => ENDED.includes(entry.stage);

export function dismiss() {
  entries = entries.filter((entry) => !ended(entry));
  changed();
}

let sending = Promise.resolve();

/** Sends `files` one after the other, so that one bad file spoils no other. */
export function send(files, tags = []) {
  const target = collection.current;
  for (const file of files) {
    const entry = { name: file.name, collection: target, stage: 'waiting' };
    entries.push(entry);
    sending = sending.then(() => upload(entry, file, target, tags));
  }
  changed();
}

async function upload(entry, file, target, tags) {
  entry.stage = 'sending';
  changed();
  const form = new FormData();
  if (target) form.append('collection', target);
  for (const tag of tags) form.append('tag', tag);
  form.append('file', file, file.name);
  try {
    accept(entry, (await call('/api/documents', { method: 'POST', form })).data[0]);
  } catch (error) {
    Object.assign(entry, { stage: 'failed', error: error.message });
  }
  changed();
}

/** Takes over what the server said of a new job; its events may have come before its reply did. */
function accept(entry, { document_id, job_id, state }) {
  const told = entries.find((other) => other !== entry && job_id && other.job_id === job_id);
  if (told) entries.splice(entries.indexOf(told), 1);
  const stage = state === 'completed' ? 'known' : 'queued';
  Object.assign(entry, { stage }, told, { name: entry.name, document_id, job_id });
}

/** Follows a document that is read once more. */
export function follow(job) {
  const entry = { name: job.name, collection: job.collection, stage: 'waiting' };
  entries.push(entry);
  accept(entry, job);
  changed();
}

live.addEventListener('event', ({ detail: event }) => {
  const stage = STAGES[event.type];
  if (!stage) return;
  const same = (key) => (each) => event[key] && each[key] === event[key];
  let entry = entries.findLast(same('job_id')) ?? entries.filter((each) => !ended(each)).findLast(same('document_id'));
  if (!entry) {
    entry = { name: event.name, collection: event.collection };
    entries.push(entry);
  }
  const { job_id = null, document_id = null, chunks, of, pages, error } = event;
  Object.assign(entry, { stage, chunks, of, pages, error });
  entry.job_id ??= job_id;
  entry.document_id ??= document_id;
  changed();
});

// What happened while nobody listened is asked for.
live.addEventListener('open', async () => {
  for (const entry of entries.filter((each) => !ended(each) && each.job_id)) {
    try {
      const { data: job } = await call(`/api/jobs/${entry.job_id}`, { query: { collection: entry.collection } });
      if (job.state === 'completed') entry.stage = 'indexed';
      if (['failed', 'expired', 'lost', 'cancelled'].includes(job.state)) Object.assign(entry, { stage: 'failed', error: job.error });
    } catch { /* the next event or the next connection tells */ }
  }
  changed();
});

let due = false;

// Events of many documents come faster than a screen is drawn.
function changed() {
  if (due) return;
  due = true;
  setTimeout(() => {
    due = false;
    uploads.dispatchEvent(new Event('change'));
  }, 50);
}
