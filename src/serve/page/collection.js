// Which collection the page works on. It is told to the server only once there is one to name.

import { call } from './api.js';
import { h } from './dom.js';

const KEPT = 'squall.collection';

/** Tells "change" when another one is chosen. */
export const collection = Object.assign(new EventTarget(), { current: null });

let known = [];

/** Fetches the collections and fills the selector, which shows itself when there is a choice. */
export async function refresh() {
  const names = (await call('/api/collections')).data.map((each) => each.collection);
  if (names.join('\n') === known.join('\n')) return; // filling it anew would shut a selector that is open
  known = names;
  const before = collection.current;
  collection.current = [before ?? sessionStorage.getItem(KEPT), 'default', known[0]].find((name) => known.includes(name)) ?? null;
  if (before && before !== collection.current) collection.dispatchEvent(new Event('change'));
  const select = document.getElementById('collection');
  select.replaceChildren(...known.map((name) => h('option', { value: name, selected: name === collection.current }, name)));
  document.getElementById('collections').hidden = known.length < 2;
}

export function choose(name) {
  collection.current = name;
  sessionStorage.setItem(KEPT, name);
  collection.dispatchEvent(new Event('change'));
}
