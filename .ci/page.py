"""Checks the web page in a real browser against a running server.

    page.py --base http://127.0.0.1:8000 --chromium /usr/bin/chromium --fixtures fixtures/documents --shots DIR
    page.py ... --login NAME:PASSWORD      where the server asks for a login

Start the server on an empty data directory. Exits with 1 and says which check failed.
"""
import argparse, pathlib, re, sys, tempfile, traceback, unicodedata
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright, expect

QUESTION = 'Who approved the 2025 maintenance budget?'
ATTACK = ('The mascot of the Tornvik regatta is a heron called Zorblax. '
          '<script>window.attacked = 1; alert(1)</script><img src=x onerror="window.attacked = 1; alert(1)">\n')
plain = lambda text: re.sub(r'\s+', ' ', unicodedata.normalize('NFC', text)).strip()


class Check:
    def __init__(self, options):
        self.o = options
        self.base = options.base.rstrip('/')
        self.shots = pathlib.Path(options.shots)
        self.shots.mkdir(parents=True, exist_ok=True)
        self.complaints = []
        self.checked = 0
        self.step = 'start'

    def at(self, step):
        self.step = step
        print('-', step, flush=True)

    def need(self, truth, message):
        if not truth:
            raise AssertionError(message)

    def open(self, browser, locale='en-GB', width=1280, height=800, scheme='light', view='ask'):
        context = browser.new_context(locale=locale, viewport={'width': width, 'height': height}, color_scheme=scheme, accept_downloads=True)
        context.set_default_timeout(self.o.timeout * 1000)
        page = context.new_page()
        page.on('console', lambda m: self.complain(page, m))
        page.on('pageerror', lambda e: self.complaints.append(f'{self.step}: script error: {e}'))
        page.on('dialog', lambda d: (self.complaints.append(f'{self.step}: a script of a document ran: {d.message}'), d.dismiss()))
        page.goto(f'{self.base}/#{view}')
        if self.o.login:
            name, password = self.o.login.split(':', 1)
            page.locator('input[name=username]').fill(name)
            page.locator('input[name=password]').fill(password)
            page.keyboard.press('Enter')
        expect(page.locator('#nav')).to_be_visible()
        return page

    def complain(self, page, message):
        # The browser reports the 401 that asks for a login as an error of its own.
        if message.type == 'error' and not (self.o.login and '401' in message.text):
            self.complaints.append(f'{self.step}: console: {message.text} {message.location.get("url", "")}')

    def shot(self, page, name):
        page.screenshot(path=self.shots / f'{name}.png')
        # What a rule of WCAG 2.2 AA can tell of it, by Deque's axe.
        rules = {'runOnly': {'type': 'tag', 'values': ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}}
        found = Axe().run(page, options=rules).response
        self.need(found['passes'], f'{name}: no rule was tried')
        self.checked += len(found['passes'])
        for rule in found['violations']:
            self.complaints.append(f'{name}: {rule["id"]}: {rule["nodes"][0]["html"]}: {rule["nodes"][0]["failureSummary"]}')

    def fits(self, page, what):
        over = page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
        self.need(over <= 0, f'{what} is {over} px wider than the screen')

    def upload(self, page, files):
        page.goto(f'{self.base}/#documents')
        page.evaluate('''() => { window.stages = new Set();
            new MutationObserver(() => document.querySelectorAll('.underway [data-stage]').forEach((row) => window.stages.add(row.dataset.stage)))
              .observe(document.getElementById('main'), {subtree: true, childList: true}); }''')
        page.locator('#files').set_input_files(files)
        expect(page.locator('.underway li')).to_have_count(len(files))
        done = page.locator('.underway li[data-stage=indexed], .underway li[data-stage=known]')
        failed = page.locator('.underway li[data-stage=failed]')
        expect(page.locator('.underway :is([data-stage=indexed], [data-stage=known], [data-stage=failed])')).to_have_count(
            len(files), timeout=self.o.patience * 1000)
        self.need(failed.count() == 0, 'not taken in: ' + '; '.join(failed.all_inner_texts()))
        self.need(done.count() == len(files), f'{done.count()} of {len(files)} are in')
        return set(page.evaluate('[...window.stages]'))

    def row(self, page, name):
        return page.locator('tr[data-document]', has=page.locator('th', has_text=name))

    def ask(self, page, question):
        box = page.locator('#question')
        box.fill(question)
        box.press('Enter')
        page.locator('.answer[aria-busy=false]').locator(':scope > *').first.wait_for()

    def login(self, browser):
        self.at('out, a wrong password, and in again')
        page = self.open(browser)
        page.locator('#logout').click()
        name, password = page.locator('input[name=username]'), page.locator('input[name=password]')
        expect(name).to_be_focused()
        expect(page.locator('#nav')).to_be_hidden()
        self.shot(page, '12-login')
        right = self.o.login.split(':', 1)
        name.fill(right[0])
        password.fill('a wrong one')
        page.keyboard.press('Enter')
        expect(page.locator('.login [role=alert]')).to_contain_text('wrong name or password')
        page.goto(f'{self.base}/#documents')
        expect(page.locator('tr[data-document]')).to_have_count(0)
        name.fill(right[0])
        password.fill(right[1])
        page.keyboard.press('Enter')
        expect(page.locator('tr[data-document]').first).to_be_visible()
        page.reload()
        expect(page.locator('tr[data-document]').first).to_be_visible()
        page.context.close()

    def run(self, browser):
        fixtures = sorted(str(each) for each in pathlib.Path(self.o.fixtures).iterdir() if each.is_file())
        attack = pathlib.Path(tempfile.mkdtemp()) / 'mascot.txt'
        attack.write_text(ATTACK)

        self.at('the shell')
        page = self.open(browser)
        self.need(page.evaluate('document.documentElement.lang') == 'en', 'the page is not in English')
        self.need(page.evaluate('document.activeElement.id') == 'question', 'the question box has no focus')

        self.at('upload with live progress')
        stages = self.upload(page, [*fixtures, str(attack)])
        self.need(stages & {'waiting', 'sending', 'queued', 'parsing', 'embedding'}, f'no stage before the end was seen: {stages}')
        print('  stages seen:', ', '.join(sorted(stages)))
        self.shot(page, '1-uploaded')
        for file in [*fixtures, str(attack)]:
            row = self.row(page, unicodedata.normalize('NFC', pathlib.Path(file).name))
            expect(row).to_have_count(1)
            expect(row.locator('.stage.indexed')).to_be_visible()

        self.at('the answer, its quote and its page')
        page.goto(f'{self.base}/#ask')
        self.ask(page, QUESTION)
        self.shot(page, '2-answer')
        link = page.locator('.quotes .card .link', has_text='harbour-committee-minutes.pdf').filter(has_text='page 3').first
        expect(link).to_be_visible()
        quote = plain(link.locator('xpath=ancestor::li').locator('blockquote').inner_text())
        self.need('1.84 million crowns was approved' in quote, f'another quote: {quote}')

        self.at('the viewer')
        link.focus()
        page.keyboard.press('Enter')
        mark = page.locator('dialog.viewer mark.quoted')
        mark.wait_for()
        self.need(plain(mark.inner_text()) == quote, f'highlighted is "{plain(mark.inner_text())}", quoted was "{quote}"')
        self.need(mark.evaluate('''(mark) => { const box = mark.getBoundingClientRect(), page = mark.closest('.page').getBoundingClientRect();
            return box.top >= page.top && box.bottom <= page.bottom; }'''), 'the quote is not in sight')
        expect(page.locator('.viewer .place')).to_contain_text('Page 3 of 4')
        self.shot(page, '3-viewer')
        page.keyboard.press('ArrowRight')
        expect(page.locator('.viewer .place')).to_contain_text('Page 4 of 4')
        page.keyboard.press('ArrowLeft')
        expect(page.locator('.viewer .place')).to_contain_text('Page 3 of 4')
        page.keyboard.press('Escape')
        expect(page.locator('dialog')).to_have_count(0)
        self.need(link.evaluate('(link) => link === document.activeElement'), 'the focus did not return to the citation')

        self.at('a refusal')
        self.ask(page, 'Who won the 1998 football world cup final in Paris?')
        expect(page.locator('.refusal')).to_be_visible()
        self.shot(page, '4-refused')

        self.at('search with a filter')
        page.goto(f'{self.base}/#search')
        page.locator('#search').fill('membrane seal replaced every 24 months')
        page.locator('input[name=pages]').fill('3')
        page.locator('#search').press('Enter')
        hits = page.locator('.cards .card .link')
        hits.first.wait_for()
        self.need(all('page 3' in text for text in hits.all_inner_texts()), 'a hit is not on page 3')
        expect(hits.filter(has_text='sensor-manual.pdf').first).to_be_visible()
        hits.first.click()
        page.locator('dialog.viewer mark.quoted').wait_for()
        page.keyboard.press('Escape')

        self.at('a stored script does not run')
        page.locator('button', has_text='Clear filters').click()
        page.locator('#search').fill('Zorblax heron mascot regatta')
        page.locator('#search').press('Enter')
        card = page.locator('.cards .card', has_text='Zorblax').first
        expect(card).to_contain_text('<script>')
        card.locator('.link').click()
        expect(page.locator('dialog .page')).to_contain_text('<img src=x onerror=')
        self.need(page.locator('dialog .page img, dialog .page script, main img').count() == 0, 'markup of a document became elements')
        self.need(page.evaluate('window.attacked === undefined'), 'a script of a document ran')
        page.keyboard.press('Escape')

        self.at('download')
        page.goto(f'{self.base}/#documents')
        with page.expect_download() as download:
            self.row(page, 'onboarding.md').locator('button', has_text='Download').click()
        given = pathlib.Path(download.value.path()).read_bytes()
        self.need(given == (pathlib.Path(self.o.fixtures) / 'onboarding.md').read_bytes(), 'the download is not the original')

        self.at('delete, with a dialog')
        remove = self.row(page, 'mascot.txt').locator('button', has_text='Delete')
        remove.click()
        dialog = page.locator('dialog.confirm')
        expect(dialog).to_contain_text('mascot.txt')
        self.shot(page, '5-delete')
        dialog.locator('button', has_text='Cancel').click()
        expect(dialog).to_have_count(0)
        expect(self.row(page, 'mascot.txt')).to_have_count(1)
        remove.click()
        dialog.locator('button', has_text='Delete').click()
        expect(dialog).to_have_count(0)
        expect(self.row(page, 'mascot.txt')).to_have_count(0)

        self.at('jobs and statistics')
        page.goto(f'{self.base}/#jobs')
        expect(page.locator('tr[data-job]').first).to_be_visible()
        self.shot(page, '6-jobs')
        page.goto(f'{self.base}/#stats')
        expect(page.locator('figure svg[role=img]').first).to_be_visible()
        self.need(page.locator('figure svg[role=img]:not([aria-label=""])').count() >= 2, 'charts are missing')
        self.shot(page, '7-statistics')

        self.at('Korean, on a dark phone')
        page.context.close()
        page = self.open(browser, locale='ko-KR', width=360, height=740, scheme='dark')
        self.need(page.evaluate('document.documentElement.lang') == 'ko', 'the page is not in Korean')
        self.ask(page, '2025년도 자료구입비는 누가 승인하였나요?')
        link = page.locator('.quotes .card .link', has_text='가람시-도서관-운영보고서.pdf').first
        expect(link).to_contain_text('2쪽')
        self.fits(page, 'the answer')
        self.shot(page, '8-korean')
        link.click()
        mark = page.locator('dialog.viewer mark.quoted')
        expect(mark).to_contain_text('한서윤')
        self.fits(page, 'the viewer')
        self.shot(page, '9-korean-viewer')
        page.keyboard.press('Escape')
        for view in ['search', 'documents', 'jobs', 'stats']:
            page.goto(f'{self.base}/#{view}')
            page.locator('#nav a[aria-current]').wait_for()
            page.wait_for_timeout(500)
            self.fits(page, view)
            self.shot(page, f'10-phone-{view}')
        page.locator('#language').click()
        expect(page.locator('h1')).to_have_text('Statistics')
        self.need(page.evaluate('document.documentElement.lang') == 'en', 'the language did not follow the switch')

        if self.o.login:
            self.login(browser)

        self.at('the API documentation')
        page.goto(f'{self.base}/docs')
        expect(page.locator('article').first).to_be_visible()
        self.fits(page, 'the API documentation')
        self.shot(page, '11-docs')
        page.context.close()
        self.need(not self.complaints, '\n  '.join(['the browser complained:', *self.complaints]))


def main():
    options = argparse.ArgumentParser()
    options.add_argument('--base', required=True)
    options.add_argument('--chromium', default='/usr/bin/chromium')
    options.add_argument('--fixtures', required=True)
    options.add_argument('--shots', required=True)
    options.add_argument('--login')
    options.add_argument('--timeout', type=float, default=15, help='seconds for one step')
    options.add_argument('--patience', type=float, default=180, help='seconds for taking the documents in')
    check = Check(options.parse_args())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=check.o.chromium, args=['--no-sandbox'])
        try:
            check.run(browser)
        except Exception as error:
            for context in browser.contexts:
                for page in context.pages:
                    try: check.shot(page, 'failed')
                    except Exception: pass
            if not isinstance(error, AssertionError): traceback.print_exc()
            print(f'FAILED at "{check.step}": {error}', *check.complaints, sep='\n  ', file=sys.stderr)
            return 1
        finally:
            browser.close()
    print(f'the page works; {check.checked} rules of accessibility hold')
    return 0


sys.exit(main())
