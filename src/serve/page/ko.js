// The page in Korean.

const count = (n) => n.toLocaleString('ko');

export default {
  otherLanguage: 'English', skip: '본문으로 건너뛰기', navigation: '주 메뉴', collection: '컬렉션', apiDocs: 'API 문서',
  ask: '질문', search: '검색', documents: '문서', jobs: '작업', stats: '통계',
  tryAgain: '다시 시도', previous: '이전', next: '다음', pagesOfList: '목록 쪽', close: '닫기', cancel: '취소',
  pageOf: (page, pages) => `${pages}쪽 중 ${page}쪽`, total: (n) => `모두 ${count(n)}건`,
  page: (n) => `${n}쪽`, pagesIn: (n) => `모두 ${count(n)}쪽`, loading: '불러오는 중…', nothingYet: '아직 아무것도 없습니다.', nothingFits: '조건에 맞는 항목이 없습니다.', actions: '동작',
  offline: '서버에 연결할 수 없습니다. 서버가 실행 중인지 확인한 뒤 다시 시도해 주세요.',
  lost: '서버와 연결이 끊겼습니다. 다시 연결하는 중…', restored: '다시 연결되었습니다.',
  unreadable: (status) => `서버의 응답을 읽을 수 없습니다(HTTP ${status}).`, cutShort: '답변이 오기 전에 연결이 끊겼습니다. 다시 질문해 주세요.',

  login: '로그인', logout: '로그아웃', username: '이름', password: '비밀번호', register: '계정 만들기',
  loginWhy: '이 서버는 로그인이 필요합니다.',

  question: '질문', questionHint: '문서에 물어보세요', send: '질문하기', keys: 'Enter로 질문, Shift+Enter로 줄바꿈, / 키로 이곳으로 돌아옵니다.',
  looking: '관련 구절을 찾는 중…', reading: (n) => `구절 ${count(n)}개를 찾아 읽는 중…`,
  answered: (n, sure, ms) => `인용 ${count(n)}개 · 신뢰도 ${sure}${ms ? ` · ${ms}ms` : ''}`,
  refused: '문서에 답이 없습니다.',
  refusedMore: '이 질문에 인용할 만큼 분명하게 답하는 구절이 없습니다. 가장 가까운 구절을 아래에 보여 드리니, 근거로 삼기 전에 직접 확인해 주세요.',
  refusedBare: '이 질문과 가까운 구절이 없습니다. 다른 표현이나 다른 컬렉션으로 시도해 보세요.',
  quotes: '인용', passagesFound: '찾은 구절', passagesRead: (n) => `읽은 구절 (${n})`, nearest: '가장 가까운 구절',

  searchHint: '낱말 또는 문장', filters: '필터', mode: '방식', hybrid: '낱말과 의미', lexical: '낱말', semantic: '의미',
  pathPrefix: '경로 시작', pathHint: '여러 개는 쉼표로', tags: '태그', tagHint: 'year=2025, 여러 개는 쉼표로',
  pages: '쪽', pagesHint: '3 또는 1-5', since: '시작일', until: '종료일', results: '결과 수', clear: '필터 지우기',
  badTag: (tag) => `태그 형식이 아닙니다: “${tag}”. key=value로 적어 주세요.`,
  hits: (n, ms) => `구절 ${count(n)}개${ms ? ` · ${ms}ms` : ''}`, noHits: '찾은 구절이 없습니다.',

  choose: '파일 선택', dropHint: '또는 파일이나 폴더를 화면 아무 곳에나 끌어다 놓으세요', dropHere: '놓으면 문서가 추가됩니다',
  tagsOfUpload: '추가할 문서의 태그', underWay: '진행 중',
  progress: (done, all, failed) => `${all}개 중 ${done}개 완료${failed ? `, ${failed}개 실패` : ''}`, dismiss: '끝난 항목 지우기',
  'stage.waiting': '대기', 'stage.sending': '전송 중', 'stage.queued': '접수됨', 'stage.parsing': '읽는 중', 'stage.embedding': '임베딩 중',
  'stage.indexed': '색인 완료', 'stage.known': '이미 있음', 'stage.failed': '실패', moreRows: (n) => `외 ${n}개`,
  chunksOf: (done, all) => `구절 ${all}개 중 ${done}개`, emptyFolder: '끌어다 놓은 항목에 파일이 없습니다.',

  name: '이름', nameFilter: '이름에 포함', type: '종류', size: '크기', tag: '태그', date: '추가한 날', state: '상태', sort: '정렬', all: '전체',
  ascending: '오름차순', descending: '내림차순', open: '열기', download: '내려받기', reprocess: '다시 처리', remove: '삭제', quality: '쪽 품질',
  allRead: '모두 읽음', reprocessed: '다시 읽고 있습니다.',
  removeTitle: '이 문서를 삭제할까요?', removeWhy: (name) => `“${name}” 문서와 그 안에서 찾은 내용이 모두 사라지며, 더 이상 답변에 인용되지 않습니다.`,
  removed: (name) => `“${name}” 문서를 삭제했습니다.`,
  'verdict.ok': '읽음', 'verdict.blank': '빈 쪽', 'verdict.empty': '글자 없음', 'verdict.garbled': '깨진 글자', 'verdict.failed': '실패',
  'state.indexed': '색인 완료', 'state.queued': '접수됨', 'state.uploading': '전송 중', 'state.submitted': '제출됨', 'state.processing': '처리 중',
  'state.completed': '완료', 'state.failed': '실패', 'state.expired': '만료', 'state.lost': '유실', 'state.cancelled': '취소됨',

  document: '문서', service: '처리 주체', attempts: '시도', updated: '갱신', error: '오류', retry: '재시도', cancelJob: '취소',

  bytes: '저장 용량', chunks: '구절', questions: '질문', overTime: '날짜별 문서와 쪽', day: '날짜', verdicts: '판정별 쪽수',
  latency: '답변 시간', latest: (n) => `최근 ${n}건`, p50: '중앙값', p95: '95백분위수', asTable: '표로 보기', share: '비율', milliseconds: '밀리초',
  noQueries: '아직 질문이 없습니다.',
  chartDays: (documents, pages, from, to) => `${from}부터 ${to}까지 날짜별 막대: 문서 ${documents}개, ${pages}쪽.`,
  chartLatency: (low, high) => `최근 질문의 답변 시간, ${low}밀리초에서 ${high}밀리초까지.`,

  previousPage: '이전 쪽', nextPage: '다음 쪽', pageText: '쪽 본문', noText: '이 쪽에는 글자가 없습니다.',

  operations: '작업 목록', parameters: '매개변수', body: '본문', responses: '응답', required: '필수', schemas: '자료형', backToPage: 'Squall로 돌아가기',
};
