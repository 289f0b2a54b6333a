// Files and folders dropped anywhere on the page.

/** Shows `cover` while files hang over the page and hands them to `take`. */
export function watchDrops(cover, allowed, take) {
  const holdsFiles = (event) => allowed() && event.dataTransfer?.types.includes('Files');
  addEventListener('dragenter', (event) => {
    if (holdsFiles(event)) cover.hidden = false;
  });
  addEventListener('dragover', (event) => {
    if (holdsFiles(event)) event.preventDefault();
  });
  addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) cover.hidden = true;
  });
  addEventListener('drop', async (event) => {
    cover.hidden = true;
    if (!holdsFiles(event)) return;
    event.preventDefault();
    // The items are gone once this handler waits: take hold of all of them first.
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    const plain = [...event.dataTransfer.files];
    take(entries.length ? (await Promise.all(entries.map(filesOf))).flat() : plain);
  });
}

async function filesOf(entry) {
  if (entry.name.startsWith('.')) return [];
  if (entry.isFile) return [await new Promise((done, failed) => entry.file(done, failed))];
  const reader = entry.createReader();
  const files = [];
  // A folder is read in portions; an empty one is the end.
  for (;;) {
    const portion = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (portion.length === 0) return files;
    for (const each of portion) files.push(...await filesOf(each));
  }
}
