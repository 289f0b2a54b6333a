// Who is logged in. The tokens last as long as the tab.

const KEPT = 'squall.session';

export const session = {
  get tokens() {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? 'null');
  },
  begin({ access_token, refresh_token, expires_in }) {
    const until = Date.now() + expires_in * 1000;
    sessionStorage.setItem(KEPT, JSON.stringify({ access_token, refresh_token, until }));
  },
  end() {
    sessionStorage.removeItem(KEPT);
  },
  /** "reader", "writer" or "admin"; the server decides, the page only hides what it would refuse. */
  role: 'admin',
  get mayWrite() {
    return this.role !== 'reader';
  },
};
