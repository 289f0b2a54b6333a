// A question, the passages that are looked at, and the answer in quotes.

import { request, events, Refusal } from './api.js';
import { collection } from './collection.js';
import { h, problem, replace } from './dom.js';
import { passages, quotes } from './hits.js';
import { t, number, percent } from './text.js';

// The latest question survives a look at another view and a change of language.
let latest = { question: '', hits: null, answer: null, error: null };
let asking = null;

collection.addEventListener('change', () => {
  asking?.abort();
  latest = { ...latest, hits: null, answer: null, error: null, busy: false };
});

export function askView() {
  const box = h('textarea', {
    id: 'question', rows: 1, required: true, enterkeyhint: 'send', autocomplete: 'off',
    'aria-label': t('question'), 'aria-describedby': 'question-keys', placeholder: t('questionHint'), onkeydown: enter, oninput: grow,
  });
  box.value = latest.question;
  const status = h('p', { class: 'status', role: 'status' });
  const answer = h('section', { class: 'answer', 'aria-live': 'polite' });
  const context = h('section');
  const form = h('form', { class: 'question', role: 'search', onsubmit: submit }, box, h('button', { class: 'main' }, t('send')));

  function grow() {
    box.rows = Math.min(box.value.split('\n').length, 6);
  }

  function enter(event) {
    // While a Korean syllable is being composed, Enter ends the syllable and not the question.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  }

  function submit(event) {
    event.preventDefault();
    if (box.value.trim()) ask(box.value.trim());
  }

  async function ask(question) {
    asking?.abort();
    const mine = asking = new AbortController();
    const state = latest = { question, hits: null, answer: null, error: null, busy: true };
    show();
    try {
      for await (const { type, data } of stream(question, mine.signal)) {
        if (type === 'hits') state.hits = data;
        if (type === 'answer') state.answer = data;
        if (type === 'error') throw new Refusal(data.message, data.error_code);
        if (state === latest) show();
      }
      if (!state.answer) throw new Refusal(t('cutShort'), 'CUT_SHORT');
    } catch (error) {
      if (error.name === 'AbortError') return;
      state.error = error instanceof Refusal ? error : new Refusal(t('cutShort'), 'CUT_SHORT');
    }
    state.busy = false;
    if (state === latest) show();
  }

  function show() {
    const { question, hits, answer: found, error, busy } = latest;
    answer.setAttribute('aria-busy', String(Boolean(busy)));
    status.textContent = busy ? (hits ? t('reading', hits.length) : t('looking')) : found?.answered ? summary(found) : '';
    replace(answer, error ? problem(error, () => ask(question)) : null, ...(found ? answered(found) : []));
    replace(context, ...(hits || found ? around(found, found?.retrieved_context ?? hits) : []));
  }

  show();
  grow();
  return {
    title: t('ask'),
    node: h('div', { class: 'view ask' },
      h('h1', { class: 'unseen' }, t('ask')), form, h('p', { class: 'hint', id: 'question-keys' }, t('keys')), status, answer, context),
    focus: () => box.focus(),
  };
}

async function* stream(query, signal) {
  const body = { query, stream: true };
  if (collection.current) body.collection = collection.current;
  yield* events(await request('/api/query', { method: 'POST', json: body, signal }));
}

function summary({ citations, confidence, timings_ms: timings }) {
  const total = timings?.total ?? Object.values(timings ?? {}).reduce((sum, each) => sum + each, 0);
  return t('answered', citations.length, percent(confidence), total >= 1 ? number(total) : '');
}

function answered({ answered, citations, generated_answer: text, retrieved_context: hits }) {
  if (!answered) {
    return [h('p', { class: 'refusal' }, h('strong', {}, t('refused')), ' ', t(hits?.length ? 'refusedMore' : 'refusedBare'))];
  }
  // The answer is usually its quotes in a row; said twice it would only be longer.
  const repeats = text === citations.map((citation) => citation.quote).join(' ');
  const lead = repeats ? citations[0]?.span?.text : text;
  return [lead ? h('p', { class: 'said', dir: 'auto' }, lead) : null, h('h2', { class: 'unseen' }, t('quotes')), quotes(citations)];
}

function around(found, hits) {
  if (!hits.length) return [];
  if (found?.answered) return [h('details', {}, h('summary', {}, t('passagesRead', hits.length)), passages(hits))];
  return [h('h2', {}, t(found ? 'nearest' : 'passagesFound')), passages(hits)];
}
