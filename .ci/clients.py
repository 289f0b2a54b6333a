"""Tries a running server with clients other people wrote: mcp, openai, websockets and httpx2 from the Python package
index. Start the server with a login and a writer's token, on an empty data directory.

    TOKEN=squall_... clients.py --base http://127.0.0.1:8000 --squall target/debug/squall --fixtures fixtures/documents

Exits with 1 and says which client failed.
"""
import argparse, asyncio, json, math, os, pathlib, sys, tempfile, time, traceback

import httpx2 as httpx, openai, websockets
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

QUESTION = 'Who approved the 2025 maintenance budget?'
ANSWER = 'ines halvorsen'


def need(truth, message):
    if not truth:
        raise AssertionError(message)


class Clients:
    def __init__(self, options):
        self.o = options
        self.token = os.environ['TOKEN']
        self.headers = {'Authorization': f'Bearer {self.token}'}
        self.minutes = pathlib.Path(options.fixtures) / 'harbour-committee-minutes.pdf'
        self.http = httpx.Client(base_url=options.base, headers=self.headers, timeout=60)

    def put(self, path):
        with path.open('rb') as file:
            accepted = self.http.post('/api/documents', files={'file': (path.name, file)})
        need(accepted.status_code == 202, accepted.text)
        job = accepted.json()['data'][0]['job_id']
        return self.until(f'/api/jobs/{job}', lambda body: body['data']['state'] == 'completed')

    def until(self, path, done):
        for _ in range(600):
            answer = self.http.get(path)
            body = answer.json()
            if done(body):
                return body
            time.sleep(0.1)
        raise AssertionError(f'{path} did not get there: {answer.text}')

    def storm(self):
        """Upload and poll as clients of both generations of the Storm Parse API do."""
        bytes_ = self.minutes.read_bytes()
        upload = self.http.post('/api/v1/parsing/upload', files={'file': ('회의록.pdf', bytes_, 'application/pdf')}).json()
        need(upload['result_type'] == 'SUCCESS' and upload['error'] is None, upload)
        job = upload['success']['job_id']
        first = self.until(f'/api/v1/parsing/job/{job}', lambda body: body['success']['state'] == 'COMPLETED')
        pages = first['success']['pages']
        need([page['pageNumber'] for page in pages] == [1, 2, 3, 4], pages)
        need(any(ANSWER in page['content'].lower() for page in pages), pages)
        upload = self.http.post('/api/v2/parse/by-file', files={'file': ('minutes.pdf', bytes_)},
                                data={'language': 'en', 'deleteOriginFile': 'true'})
        need(upload.status_code in (200, 201), upload.text)
        second = self.until(f'/api/v2/parse/job/{upload.json()["jobId"]}', lambda body: body['state'] == 'COMPLETED')
        contents = [[page['content'] for page in pages] for pages in (pages, second['pages'])]
        need(contents[0] == contents[1], 'the generations differ')
        for path in ('/api/v1/parsing/job/nope', '/api/v2/parse/job/nope'):
            need('Job not found' in self.http.get(path).text, path)
        need(httpx.get(f'{self.o.base}/api/v1/parsing/job/{job}').status_code == 401, 'no token was needed')

    def openai(self):
        """Embeddings and answers by OpenAI's own client."""
        client = openai.OpenAI(base_url=f'{self.o.base}/v1', api_key=self.token, max_retries=0)
        models = [model.id for model in client.models.list()]
        need({'squall', 'squall/default', 'minilm', 'multilingual'} <= set(models), models)
        texts = ['The committee approved the budget.', 'The budget was accepted by the committee.', 'Herons eat fish.']
        got = client.embeddings.create(model='minilm', input=texts)
        vectors = [item.embedding for item in got.data]
        plain = client.embeddings.create(model='minilm', input=texts, encoding_format='float')
        need(all(math.isclose(a, b, abs_tol=1e-6) for x, y in zip(vectors, (item.embedding for item in plain.data))
                 for a, b in zip(x, y)), 'numbers and bytes differ')
        dot = lambda a, b: sum(x * y for x, y in zip(a, b))
        need(len(vectors[0]) == 384 and math.isclose(dot(vectors[0], vectors[0]), 1, abs_tol=1e-4), 'no unit vectors')
        need(dot(vectors[0], vectors[1]) > dot(vectors[0], vectors[2]) + 0.3, 'what means the same is not near')
        need(got.usage.total_tokens > 10, got.usage)
        ask = [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': QUESTION}]
        told = client.chat.completions.create(model='squall', messages=ask, temperature=0).choices[0].message.content
        need(ANSWER in told.lower() and 'harbour-committee-minutes.pdf, page 3' in told, told)
        pieces = client.chat.completions.create(model='squall/default', messages=ask, stream=True)
        streamed = ''.join(piece.choices[0].delta.content or '' for piece in pieces)
        need(streamed == told, streamed)
        ask = [{'role': 'user', 'content': '화성에서 감자를 키운 사람은 누구인가?'}]
        told = client.chat.completions.create(model='squall', messages=ask).choices[0].message.content
        need('찾지 못했습니다' in told, told)
        for wrong in (lambda: client.embeddings.create(model='gpt', input='x'),
                      lambda: client.chat.completions.create(model='minilm', messages=ask)):
            try:
                wrong()
                raise AssertionError('a model that is not there answered')
            except openai.NotFoundError as error:
                need(error.code == 'model_not_found', error)
        try:
            openai.OpenAI(base_url=f'{self.o.base}/v1', api_key='wrong', max_retries=0).models.list()
            raise AssertionError('a wrong key was good')
        except openai.AuthenticationError:
            pass

    def mcp(self):
        """The tools, by the reference client, over HTTP and over stdio."""
        asyncio.run(self.mcp_http())
        asyncio.run(self.mcp_stdio())

    async def mcp_http(self):
        async with httpx.AsyncClient(headers=self.headers, timeout=60) as http:
            async with Client(streamable_http_client(f'{self.o.base}/mcp', http_client=http)) as client:
                await self.tools(client)
        async with httpx.AsyncClient(timeout=60) as http:
            try:
                async with Client(streamable_http_client(f'{self.o.base}/mcp', http_client=http)) as client:
                    await client.list_tools()
            except Exception:
                return
            raise AssertionError('no token was needed')

    async def mcp_stdio(self):
        with tempfile.TemporaryDirectory() as home:
            root = self.minutes.parent
            server = StdioServerParameters(command=self.o.squall, args=['mcp', '--root', str(root)],
                                           env={'SQUALL_DATA_DIR': home, 'PATH': os.environ['PATH']})
            async with Client(server) as client:
                taken = await client.call_tool('ingest', {'path': str(self.minutes)})
                need(not taken.is_error and taken.structured_content['indexed'] == 1, taken)
                await self.tools(client)
                refused = await client.call_tool('ingest', {'path': '/etc/hostname'})
                need(refused.is_error and '--root' in refused.content[0].text, refused)

    async def tools(self, client):
        tools = {tool.name for tool in (await client.list_tools()).tools}
        need(tools == {'search', 'answer', 'get_page', 'list_documents', 'ingest'}, tools)
        answer = (await client.call_tool('answer', {'query': QUESTION})).structured_content
        cited = answer['citations'][0]
        need(answer['answered'] and cited['page_number'] == 3, answer)
        page = await client.call_tool('get_page', {'document_id': cited['document_id'], 'page_number': 3})
        need(cited['quote'] in page.structured_content['text'], page)
        found = (await client.call_tool('search', {'query': QUESTION, 'top_k': 2})).structured_content
        need(len(found['hits']) == 2, found)
        listed = (await client.call_tool('list_documents', {})).structured_content
        need(listed['total'] >= 1, listed)

    def websocket(self):
        """Live events, with a client that hangs up on a server that does not answer its pings."""
        asyncio.run(self.listen())

    async def listen(self):
        address = f'{self.o.base.replace("http", "ws", 1)}/ws'
        async with websockets.connect(f'{address}?access_token={self.token}', ping_interval=0.2, ping_timeout=2) as socket:
            await asyncio.sleep(1)
            with tempfile.TemporaryDirectory() as dir:
                note = pathlib.Path(dir) / 'note.txt'
                note.write_text('The websocket of Tornvik is blue.\n')
                await asyncio.to_thread(self.put, note)
            kinds = []
            while 'document.indexed' not in kinds:
                event = json.loads(await asyncio.wait_for(socket.recv(), 30))
                need(event['name'] == 'note.txt', event)
                kinds.append(event['type'])
            need(kinds[0] == 'document.queued' and 'document.parsing' in kinds, kinds)
        try:
            async with websockets.connect(address):
                raise AssertionError('no token was needed')
        except websockets.InvalidStatus as error:
            need(error.response.status_code == 401, error)

    def run(self):
        self.put(self.minutes)
        for client in (self.storm, self.openai, self.mcp, self.websocket):
            print('-', client.__doc__, flush=True)
            client()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument('--base', required=True)
    options.add_argument('--squall', required=True)
    options.add_argument('--fixtures', required=True)
    try:
        Clients(options.parse_args()).run()
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    print('all clients agree')


main()
