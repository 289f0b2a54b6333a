// The page in English.

const count = (n, one, many) => `${n.toLocaleString('en')} ${n === 1 ? one : many}`;

export default {
  otherLanguage: '한국어', skip: 'Skip to content', navigation: 'Main', collection: 'Collection', apiDocs: 'API documentation',
  ask: 'Ask', search: 'Search', documents: 'Documents', jobs: 'Jobs', stats: 'Statistics',
  tryAgain: 'Try again', previous: 'Previous', next: 'Next', pagesOfList: 'Pages of the list', close: 'Close', cancel: 'Cancel',
  pageOf: (page, pages) => `Page ${page} of ${pages}`, total: (n) => `${n.toLocaleString('en')} in all`,
  page: (n) => `page ${n}`, pagesIn: (n) => count(n, 'page', 'pages'), loading: 'Loading…', nothingYet: 'Nothing here yet.', nothingFits: 'Nothing fits these filters.', actions: 'Actions',
  offline: 'The server cannot be reached. Check that it is running, then try again.',
  lost: 'The connection to the server is lost. Trying again…', restored: 'Connected again.',
  unreadable: (status) => `The server's reply could not be read (HTTP ${status}).`, cutShort: 'The connection was lost before the answer came. Ask again.',

  login: 'Log in', logout: 'Log out', username: 'Name', password: 'Password', register: 'Create an account',
  loginWhy: 'This server asks you to log in.',

  question: 'Question', questionHint: 'Ask your documents', send: 'Ask', keys: 'Enter asks, Shift+Enter starts a new line, / comes back here.',
  looking: 'Looking for passages…', reading: (n) => `${count(n, 'passage', 'passages')} found, reading…`,
  answered: (n, sure, ms) => `${count(n, 'quote', 'quotes')} · confidence ${sure}${ms ? ` · ${ms} ms` : ''}`,
  refused: 'The documents do not say.',
  refusedMore: 'No passage answers this question well enough to quote. The nearest ones are below; read them yourself before you rely on them.',
  refusedBare: 'No passage comes near this question. Other words, or another collection, may help.',
  quotes: 'Quotes', passagesFound: 'Passages found', passagesRead: (n) => `Passages read (${n})`, nearest: 'Nearest passages',

  searchHint: 'Words or a sentence', filters: 'Filters', mode: 'Mode', hybrid: 'Words and meaning', lexical: 'Words', semantic: 'Meaning',
  pathPrefix: 'Path starts with', pathHint: 'several with commas', tags: 'Tags', tagHint: 'year=2025, several with commas',
  pages: 'Pages', pagesHint: '3 or 1-5', since: 'From', until: 'Until', results: 'Results', clear: 'Clear filters',
  badTag: (tag) => `“${tag}” is not a tag: write key=value.`,
  hits: (n, ms) => `${count(n, 'passage', 'passages')}${ms ? ` · ${ms} ms` : ''}`, noHits: 'No passage found.',

  choose: 'Choose files', dropHint: 'or drop files and folders anywhere on the page', dropHere: 'Drop to add these documents',
  tagsOfUpload: 'Tags for what you add', underWay: 'Under way',
  progress: (done, all, failed) => `${done} of ${all} done${failed ? `, ${failed} failed` : ''}`, dismiss: 'Clear finished',
  'stage.waiting': 'waiting', 'stage.sending': 'sending', 'stage.queued': 'queued', 'stage.parsing': 'parsing', 'stage.embedding': 'embedding',
  'stage.indexed': 'indexed', 'stage.known': 'already in', 'stage.failed': 'failed', moreRows: (n) => `and ${n} more`,
  chunksOf: (done, all) => `${done} of ${all} passages`, emptyFolder: 'There are no files in what you dropped.',

  name: 'Name', nameFilter: 'Name contains', type: 'Type', size: 'Size', tag: 'Tag', date: 'Added', state: 'State', sort: 'Sort', all: 'All',
  ascending: 'ascending', descending: 'descending', open: 'Open', download: 'Download', reprocess: 'Reprocess', remove: 'Delete', quality: 'Page quality',
  allRead: 'all read', reprocessed: 'Being read again.',
  removeTitle: 'Delete this document?', removeWhy: (name) => `“${name}” and everything found in it will be gone. Answers will no longer quote it.`,
  removed: (name) => `“${name}” is deleted.`,
  'verdict.ok': 'read', 'verdict.blank': 'blank', 'verdict.empty': 'no text', 'verdict.garbled': 'garbled', 'verdict.failed': 'failed',
  'state.indexed': 'indexed', 'state.queued': 'queued', 'state.uploading': 'uploading', 'state.submitted': 'submitted', 'state.processing': 'processing',
  'state.completed': 'completed', 'state.failed': 'failed', 'state.expired': 'expired', 'state.lost': 'lost', 'state.cancelled': 'cancelled',

  document: 'Document', service: 'Read by', attempts: 'Attempts', updated: 'Updated', error: 'Error', retry: 'Retry', cancelJob: 'Cancel',

  bytes: 'Stored', chunks: 'Passages', questions: 'Questions', overTime: 'Documents and pages by day', day: 'Day', verdicts: 'Pages by verdict',
  latency: 'Time to answer', latest: (n) => `the latest ${n}`, p50: 'median', p95: '95th percentile', asTable: 'As a table', share: 'Share', milliseconds: 'Milliseconds',
  noQueries: 'No question was asked yet.',
  chartDays: (documents, pages, from, to) => `Bars by day from ${from} to ${to}: ${documents} documents, ${pages} pages.`,
  chartLatency: (low, high) => `Times of the latest questions, from ${low} to ${high} milliseconds.`,

  previousPage: 'Previous page', nextPage: 'Next page', pageText: 'Text of the page', noText: 'There is no text on this page.',

  operations: 'Operations', parameters: 'Parameters', body: 'Body', responses: 'Responses', required: 'required', schemas: 'Types', backToPage: 'Back to Squall',
};
