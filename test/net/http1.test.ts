/** Bytes of HTTP/1.1 as they may come: what is answered, and what becomes of the connection. However they were cut up. */
import { afterEach, expect, test, vi } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { answersIn, echoServer, talk, Wire } from '../support/http1-wire.ts'

const servers: { stop(deadline: number): Promise<void> }[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(0)
})

function serve(settings: object = {}) {
  const made = echoServer(settings)
  servers.push(made.server)
  return made
}

const type = 'content-type: application/x-protobuf\r\n'
/** A POST with these headers, lines and all. */
const post = (headers: string, body = '', line = 'POST /p HTTP/1.1') =>
  `${line}\r\nhost: a\r\n${type}${headers}\r\n${body}`
const sized = (body: string) => post(`content-length: ${body.length}\r\n`, body)
const chunked = (body: string) => post('transfer-encoding: chunked\r\n', body)
/** Would be answered, if it was read. */
const hidden = sized('hidden')

type Row = readonly [what: string, bytes: string, answers: readonly string[], isOver: boolean]

const framing: readonly Row[] = [
  ['a body of a length', sized('abc'), ['200 abc'], false],
  ['a body of length 0', sized(''), ['200 '], false],
  ['neither length nor chunks: no body', post(''), ['200 '], false],
  ['a length with zeros in front', post('content-length: 0003\r\n', 'abc'), ['200 abc'], false],
  ['two requests in a line', sized('abc') + sized('de'), ['200 abc', '200 de'], false],
  ['the same head twice', sized('abc') + sized('xyz'), ['200 abc', '200 xyz'], false],
  ['a head of the same size that is another', sized('abc') + sized('xy'), ['200 abc', '200 xy'], false],
  ['an empty line between requests', `${sized('abc')}\r\n${sized('de')}`, ['200 abc', '200 de'], false],
  ['eight empty lines', `${'\r\n'.repeat(8)}${sized('de')}`, ['200 de'], false],
  ['nine empty lines', `${'\r\n'.repeat(9)}${sized('de')}`, ['400'], true],
  ['empty lines between requests', `${sized('abc')}\r\n\r\n\r\n${sized('de')}`, ['200 abc', '200 de'], false],
  ['empty lines in front of the same head', `\r\n\r\n${sized('abc').repeat(2)}`, ['200 abc', '200 abc'], false],
  ['empty lines that end with \\n alone', `\n\n${sized('de')}`, ['400'], true],
  ['chunks', chunked('3\r\nabc\r\n0\r\n\r\n'), ['200 abc'], false],
  [
    'chunks, then another request',
    `${chunked('1\r\na\r\n02\r\nbc\r\n0\r\n\r\n')}${sized('d')}`,
    ['200 abc', '200 d'],
    false,
  ],
  ['no chunk but the last', chunked('0\r\n\r\n'), ['200 '], false],
  ['sizes in capitals', chunked('A\r\n0123456789\r\n0\r\n\r\n'), ['200 0123456789'], false],
  ['extensions of chunks', chunked('1;a;b=c;d="e\\"; f"\r\nx\r\n0;g\r\n\r\n'), ['200 x'], false],
  ['trailers', chunked('1\r\nx\r\n0\r\nx-a: b\r\nc:\r\n\r\n'), ['200 x'], false],
  ['chunks with a body of nothing but line ends', chunked('2\r\n\r\n\r\n0\r\n\r\n'), ['200 \r\n'], false],
  ['Transfer-Encoding in other letters', post('TRANSFER-ENCODING:Chunked \r\n', '0\r\n\r\n'), ['200 '], false],
]

/** Two servers could read each of these differently; the hidden request must never be read. */
const smuggling: readonly Row[] = [
  [
    'both length and chunks',
    post('content-length: 5\r\ntransfer-encoding: chunked\r\n', `0\r\n\r\n${hidden}`),
    ['400'],
    true,
  ],
  [
    'both chunks and length',
    post('transfer-encoding: chunked\r\ncontent-length: 4\r\n', `0\r\n\r\n${hidden}`),
    ['400'],
    true,
  ],
  ['two lengths', post('content-length: 0\r\ncontent-length: 5\r\n', hidden), ['400'], true],
  ['the same length twice', post('content-length: 0\r\ncontent-length: 0\r\n', hidden), ['400'], true],
  ['a list of lengths', post('content-length: 0, 0\r\n', hidden), ['400'], true],
  ['a length with a sign', post('content-length: +0\r\n', hidden), ['400'], true],
  ['a negative length', post('content-length: -1\r\n', hidden), ['400'], true],
  ['a length in hexadecimal', post('content-length: 0x0\r\n', hidden), ['400'], true],
  ['a length with a point', post('content-length: 0.0\r\n', hidden), ['400'], true],
  ['a length with a blank in it', post('content-length: 0 0\r\n', hidden), ['400'], true],
  ['an empty length', post('content-length: \r\n', hidden), ['400'], true],
  ['a length on two lines', post('content-length:\r\n 0\r\n', hidden), ['400'], true],
  ['a folded header', post('x: a\r\n content-length: 0\r\n', hidden), ['400'], true],
  ['a header folded by a tab', post('x: a\r\n\tb\r\n', hidden), ['400'], true],
  ['a blank before the colon', post('content-length : 0\r\n', hidden), ['400'], true],
  ['a tab before the colon', post('transfer-encoding\t: chunked\r\n', hidden), ['400'], true],
  ['a line without a colon', post('content-length 0\r\n', hidden), ['400'], true],
  ['a header without a name', post(': 0\r\n', hidden), ['400'], true],
  ['a first header that begins with a blank', `POST /p HTTP/1.1\r\n host: a\r\n\r\n${hidden}`, ['400'], true],
  ['chunks by another name', post('transfer-encoding: xchunked\r\n', `0\r\n\r\n${hidden}`), ['400'], true],
  ['chunks with a tab behind them', post('transfer-encoding: chunked\t\r\n', `0\r\n\r\n${hidden}`), ['400'], true],
  ['chunks in quotes', post('transfer-encoding: "chunked"\r\n', `0\r\n\r\n${hidden}`), ['400'], true],
  ['identity', post('transfer-encoding: identity\r\n', hidden), ['400'], true],
  ['no coding at all', post('transfer-encoding:\r\n', hidden), ['400'], true],
  [
    'chunks, then something else',
    post('transfer-encoding: chunked, identity\r\n', `0\r\n\r\n${hidden}`),
    ['400'],
    true,
  ],
  ['chunks twice', post('transfer-encoding: chunked, chunked\r\n', `0\r\n\r\n${hidden}`), ['501'], true],
  [
    'chunks on two lines',
    post('transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n', `0\r\n\r\n${hidden}`),
    ['400'],
    true,
  ],
  ['gzip, then chunks', post('transfer-encoding: gzip, chunked\r\n', `0\r\n\r\n${hidden}`), ['501'], true],
  [
    'chunks in HTTP/1.0',
    post('transfer-encoding: chunked\r\n', `0\r\n\r\n${hidden}`, 'POST /p HTTP/1.0'),
    ['400'],
    true,
  ],
  ['a vertical tab around the coding', post('transfer-encoding: \x0bchunked\r\n', `0\r\n\r\n${hidden}`), ['400'], true],
  ['lines that end with \\n alone', post('x: a\ncontent-length: 0\r\n', hidden), ['400'], true],
  ['lines that end with \\r alone', post('x: a\rcontent-length: 0\r\n', hidden), ['400'], true],
  ['a head that ends with \\n\\n', `POST /p HTTP/1.1\nhost: a\n\n${hidden}`, ['400'], true],
  ['a zero byte in a value', post('x: a\0b\r\n', hidden), ['400'], true],
  ['a zero byte in a name', post('x\0: a\r\n', hidden), ['400'], true],
  ['a name that is not ASCII', post('x\xe4: a\r\n', hidden), ['400'], true],
  ['a size with a sign', chunked(`+1\r\nx\r\n0\r\n\r\n${hidden}`), ['400'], true],
  ['a size of nothing', chunked(`\r\n\r\n${hidden}`), ['400'], true],
  ['a size with 0x', chunked(`0x1\r\nx\r\n0\r\n\r\n${hidden}`), ['400'], true],
  ['a size that overflows', chunked(`ffffffffffffffff1\r\n${hidden}`), ['400'], true],
  ['a size of many zeros', chunked(`0000000000000000000\r\n\r\n${hidden}`), ['400'], true],
  ['a blank behind a size', chunked(`1 \r\nx\r\n0\r\n\r\n${hidden}`), ['400'], true],
  ['a blank before a size', chunked(` 1\r\nx\r\n0\r\n\r\n${hidden}`), ['400'], true],
  ['a size that ends with \\n alone', chunked(`1\nx\r\n0\r\n\r\n${hidden}`), ['400'], true],
  ['a chunk that is longer than it says', chunked(`1\r\nxy\r\n0\r\n\r\n${hidden}`), ['400'], true],
  ['a chunk that ends with \\n alone', chunked(`1\r\nx\n0\r\n\r\n${hidden}`), ['400'], true],
  ['a last chunk that ends with \\n alone', chunked(`0\n\n${hidden}`), ['400'], true],
  ['an extension that ends with \\n alone', chunked(`1;a\nx\r\n0\r\n\r\n${hidden}`), ['400'], true],
  ['an extension that is no name', chunked(`1;\r\nx\r\n0\r\n\r\n${hidden}`), ['400'], true],
  ['an extension whose quotes stay open', chunked(`1;a="\r\nx\r\n0\r\n\r\n${hidden}`), ['400'], true],
  ['a trailer that is folded', chunked(`0\r\na: b\r\n c\r\n\r\n${hidden}`), ['400'], true],
  ['a length as a trailer', chunked(`0\r\nContent-Length: 0\r\n\r\n${hidden}`), ['400'], true],
  ['a trailer with a blank before the colon', chunked(`0\r\na : b\r\n\r\n${hidden}`), ['400'], true],
]

const heads: readonly Row[] = [
  ['no host', `POST /p HTTP/1.1\r\n${type}\r\n`, ['400'], true],
  ['two hosts', `POST /p HTTP/1.1\r\nhost: a\r\nHost: a\r\n${type}\r\n`, ['400'], true],
  ['an empty host', `POST /p HTTP/1.1\r\nhost:\r\n${type}\r\n`, ['200 '], false],
  ['a host with a path', `POST /p HTTP/1.1\r\nhost: a/b\r\n${type}\r\n`, ['400'], true],
  ['a URL as target', post('', '', 'POST http://a:1/p?q HTTP/1.1'), ['200 '], false],
  ['a URL of something else', post('', '', 'POST ftp://a/p HTTP/1.1'), ['400'], true],
  ['a URL with a user', post('', '', 'POST http://u@a/p HTTP/1.1'), ['400'], true],
  ['a path with a query', post('', '', 'POST /p?a=b?c HTTP/1.1'), ['200 '], false],
  ['a letter of the path by its number', post('', '', 'POST /%70 HTTP/1.1'), ['200 '], false],
  ['a path that is cut short behind a %', post('', '', 'POST /% HTTP/1.1'), ['404'], false],
  ['a fragment', post('', '', 'POST /p#a HTTP/1.1'), ['400'], true],
  ['a target that is not ASCII', post('', '', 'POST /\xe4 HTTP/1.1'), ['400'], true],
  ['no target', post('', '', 'POST HTTP/1.1'), ['400'], true],
  ['two blanks', post('', '', 'POST  /p HTTP/1.1'), ['400'], true],
  ['a blank at the end', post('', '', 'POST /p HTTP/1.1 '), ['400'], true],
  ['another protocol', post('', '', 'POST /p ICE/1.1'), ['400'], true],
  ['small letters', post('', '', 'POST /p http/1.1'), ['400'], true],
  ['HTTP/0.9', 'GET /p\r\n\r\n', ['400'], true],
  ['HTTP/1.2', post('', '', 'POST /p HTTP/1.2'), ['505'], true],
  ['HTTP/1.10', post('', '', 'POST /p HTTP/1.10'), ['400'], true],
  ['HTTP/3.0', post('', '', 'POST /p HTTP/3.0'), ['505'], true],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ['505'], true],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', ['400'], true],
  ['a method nobody knows', post('', '', 'BREW /p HTTP/1.1'), ['501'], true],
  ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n', ['501'], true],
  ['a method that is none', post('', '', 'PO(ST /p HTTP/1.1'), ['400'], true],
  ['another path', post('', '', 'POST /q HTTP/1.1'), ['404'], false],
  ['another path, with a body', `${post('content-length: 3\r\n', 'abc', 'POST /q HTTP/1.1')}${hidden}`, ['404'], true],
  ['GET', `${post('', '', 'GET /p HTTP/1.1')}${sized('a')}`, ['405', '200 a'], false],
  ['OPTIONS *', 'OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n', ['404'], false],
  ['* with another method', 'POST * HTTP/1.1\r\nhost: a\r\n\r\n', ['400'], true],
  ['another type', 'POST /p HTTP/1.1\r\nhost: a\r\ncontent-type: text/html\r\n\r\n', ['415'], false],
  ['two types', post(type), ['400'], true],
  ['another encoding', post('content-encoding: br\r\n'), ['415'], false],
  ['two encodings', post('content-encoding: gzip\r\ncontent-encoding: gzip\r\n'), ['415'], false],
  ['200 headers', post('x: y\r\n'.repeat(198)), ['200 '], false],
  ['201 headers', post('x: y\r\n'.repeat(199)), ['431'], true],
  ['a head as large as may be', post(`x: ${'y'.repeat(32_768 - post('x: \r\n').length)}\r\n`), ['200 '], false],
  ['one byte more', post(`x: ${'y'.repeat(32_769 - post('x: \r\n').length)}\r\n`), ['431'], true],
  ['a head without an end', post(`x: ${'y'.repeat(40_000)}`), ['431'], true],
  ['trailers without an end', chunked(`0\r\n${'x: y\r\n'.repeat(201)}`), ['431'], true],
  ['extensions without an end', chunked(`1;${'x'.repeat(17_000)}`), ['413'], true],
]

const connections: readonly Row[] = [
  ['connection: close', post('connection: close\r\n') + hidden, ['200 '], true],
  ['connection: keep-alive, CLOSE', post('connection: keep-alive, CLOSE\r\n') + hidden, ['200 '], true],
  ['HTTP/1.0', post('', '', 'POST /p HTTP/1.0') + hidden, ['200 '], true],
  ['HTTP/1.0 without a host', `POST /p HTTP/1.0\r\n${type}\r\n`, ['200 '], true],
  [
    'HTTP/1.0 with keep-alive',
    post('connection: Keep-Alive\r\n', '', 'POST /p HTTP/1.0') + hidden,
    ['200 ', '200 hidden'],
    false,
  ],
  ['an expectation of something else', post('expect: more\r\ncontent-length: 1\r\n'), ['417'], true],
  ['an expectation in HTTP/1.0', post('expect: more\r\n', '', 'POST /p HTTP/1.0'), ['200 '], true],
  ['half a head', 'POST /p HT', [], false],
  ['half a body', post('content-length: 5\r\n', 'abc'), [], false],
]

test.each([
  ['\x16\x03\x01\x02\x00\x01', 'this port speaks plain text, and this is a TLS handshake: is the sender set to TLS?'],
  [chunked(`${'0'.repeat(13)}1\r\nx\r\n`), 'the size of a chunk has more than 12 digits'],
  [post(type), '`content-type` stands twice'],
  [post('', '', `POST /${'x'.repeat(200)} HTTP/1.1`), `this server does not serve /${'x'.repeat(99)}...`],
  [
    'POST /p HTTP/1.1\r\nhost: a\r\ncontent-type: a\x9bb\r\n\r\n',
    '415 content type a\\x9bb is not supported; send application/x-protobuf',
  ],
])('%j is told what is wrong with it', async (bytes, text) => {
  const { server } = serve()
  expect((await talk(server, [Buffer.from(bytes, 'latin1')])).text).toContain(text)
  expect(server.admission.refusals.malformed + server.admission.refusals.unserved).toBe(1)
})

const rows = [...framing, ...smuggling, ...heads, ...connections]

test.each(rows)('%s', async (_what, bytes, answers, isOver) => {
  const { server, budget } = serve()
  const heard = await talk(server, [Buffer.from(bytes, 'latin1')])
  expect([heard.answers, heard.isOver]).toEqual([answers, isOver])
  expect([budget.used, server.admission.open, server.connections]).toEqual([0, 0, 0])
})

test('cut in two at any place, and into single bytes, all of it is answered alike', async () => {
  const { server, budget } = serve()
  for (const [what, text, answers, isOver] of rows) {
    const bytes = Buffer.from(text, 'latin1')
    const expected = [what, answers, isOver]
    if (bytes.length > 1500) {
      const parts = [bytes.subarray(0, 700), bytes.subarray(700, -3), bytes.subarray(-3)]
      const heard = await talk(server, parts)
      expect([what, heard.answers, heard.isOver]).toEqual(expected)
      continue
    }
    for (let at = 1; at < bytes.length; at++) {
      const heard = await talk(server, [bytes.subarray(0, at), bytes.subarray(at)])
      expect([`${what}, cut at ${at}`, heard.answers, heard.isOver]).toEqual([`${what}, cut at ${at}`, answers, isOver])
    }
    const singles = await talk(
      server,
      Array.from(bytes, byte => Buffer.from([byte])),
    )
    expect([what, singles.answers, singles.isOver]).toEqual(expected)
  }
  expect([budget.used, server.admission.open, server.connections]).toEqual([0, 0, 0])
}, 60_000)

test('who expects to be asked is asked once it is known that the body is wanted', async () => {
  const { server } = serve({ max_request_body_size: 10 })
  const wire = new Wire()
  server.accept(wire.socket)
  wire.say(Buffer.from(post('expect: 100-Continue\r\ncontent-length: 3\r\n')))
  await wire.quiet()
  expect(wire.heard).toBe('HTTP/1.1 100 Continue\r\n\r\n')
  wire.say(Buffer.from('abc'))
  await wire.quiet()
  expect(answersIn(wire.heard.slice(25))).toEqual(['200 abc'])
  // Who has sent it already needs not be told, and what is too large is not asked for.
  const sent = await talk(server, [Buffer.from(post('expect: 100-continue\r\ncontent-length: 3\r\n', 'abc'))])
  expect(sent.answers).toEqual(['200 abc'])
  const large = await talk(server, [Buffer.from(post('expect: 100-continue\r\ncontent-length: 11\r\n'))])
  expect([large.answers, large.isOver]).toEqual([['413'], true])
  wire.destroy()
})

test('an answer has the headers it had, and says when the connection ends', async () => {
  const { server } = serve({ idle_timeout: '90s', response_headers: { 'x-served-by': 'kymo' } })
  const kept = await talk(server, [Buffer.from(sized('abc'))])
  const [line, ...headers] = kept.text.slice(0, -'\r\n\r\nabc'.length).split('\r\n')
  expect(line).toBe('HTTP/1.1 200 OK')
  expect(headers.map(header => header.replace(/^date: .* GMT$/, 'date'))).toEqual([
    'content-type: application/x-protobuf',
    'content-length: 3',
    'x-served-by: kymo',
    'date',
    'connection: keep-alive',
    'keep-alive: timeout=90',
  ])
  const ended = await talk(server, [Buffer.from(post('connection: close\r\n'))])
  expect(ended.text).toMatch(/\r\nconnection: close\r\n\r\n$/)
  expect(ended.text).not.toContain('keep-alive')
})

test('HEAD hears the head of an answer, and what follows is the next answer', async () => {
  const { server } = serve()
  const heard = await talk(server, [Buffer.from(post('', '', 'HEAD /p HTTP/1.1') + sized('abc'))])
  expect(heard.text).toMatch(/^HTTP\/1\.1 405 [^]*content-length: \d\d\r\n[^]*\r\n\r\nHTTP\/1\.1 200 OK\r\n[^]*abc$/)
})

test('headers that would begin another one are not sent, and not configured', async () => {
  expect(() => serve({ response_headers: { x: 'a\r\nset-cookie: b' } })).toThrow(/header/)
  const { server } = serve({ cors: { allowed_origins: ['*'], allowed_headers: ['*'] } })
  const heard = await talk(server, [
    Buffer.from(
      'OPTIONS /p HTTP/1.1\r\nhost: a\r\norigin: \xff\r\naccess-control-request-headers: a\tb\r\n\r\n',
      'latin1',
    ),
  ])
  expect(heard.text).toContain('access-control-allow-headers: a\tb\r\n')
  expect(heard.text).not.toContain('content-length')
})

test('answers that wait for their sender stop everything, until they are taken', async () => {
  const { server, budget } = serve()
  const wire = new Wire()
  wire.isTaken = false
  server.accept(wire.socket)
  wire.say(Buffer.from(sized('abc').repeat(100)))
  await wire.quiet()
  // As many as one step takes, in one write.
  expect(answersIn(wire.heard)).toHaveLength(16)
  expect([server.admission.open, wire.isPaused()]).toEqual([16, true])
  expect(budget.used).toBeGreaterThan(16 * 8192 + 2 * 65_536)
  wire.release()
  await wire.quiet()
  expect(answersIn(wire.heard)).toHaveLength(100)
  expect([budget.used, wire.isPaused()]).toEqual([0, false])
  wire.destroy()
})

test('who has to wait for a turn is not read meanwhile', async () => {
  const { server, budget } = serve()
  const wire = new Wire()
  const pause = vi.spyOn(wire, 'pause')
  server.accept(wire.socket)
  let left = 2
  budget.turns.start({ next: () => ({ done: --left === 0, value: undefined }) })
  wire.say(Buffer.from(sized('abc')))
  await wire.quiet()
  expect(answersIn(wire.heard)).toEqual(['200 abc'])
  expect(pause).toHaveBeenCalledOnce()
  expect([budget.used, wire.isPaused()]).toEqual([0, false])
  wire.destroy()
})

test('a body that waits for its turn may still take what one connection may have', async () => {
  const { server, budget } = echoServer({}, new Budget(1 << 20))
  servers.push(server)
  const wire = new Wire()
  server.accept(wire.socket)
  wire.say(Buffer.from(post('content-length: 200000\r\n')))
  for (let i = 0; i < 2; i++) {
    let left = 2
    budget.turns.start({ next: () => ({ done: --left === 0, value: undefined }) })
    const part = Buffer.alloc(100_000, 'a')
    wire.say(part)
    await wire.quiet()
    // What was read is freed once it is copied.
    expect(part.length).toBe(0)
  }
  expect(answersIn(wire.heard)).toEqual([`200 ${'a'.repeat(200_000)}`])
  expect(budget.used).toBe(0)
  wire.destroy()
})

test('where there is no room for what waits, the connection ends with its next answer', async () => {
  const { server, budget } = serve()
  const answers: (() => void)[] = []
  server.register('/held', [{ type: 'a/b', encodeStatus: () => Buffer.alloc(0) }], exchange => {
    budget.release(exchange.charge)
    answers.push(() => exchange.reply(Buffer.from('late')))
  })
  const wire = new Wire()
  server.accept(wire.socket)
  const held = 'POST /held HTTP/1.1\r\nhost: a\r\ncontent-type: a/b\r\n\r\n'
  wire.say(Buffer.from(held))
  await wire.quiet()
  budget.charge(budget.limit)
  wire.say(Buffer.from(held))
  await wire.quiet()
  expect([answers.length, wire.isPaused()]).toEqual([1, false])
  budget.release(budget.limit)
  answers[0]()
  await wire.quiet()
  expect([answersIn(wire.heard), wire.isOver]).toEqual([['200 late'], true])
  expect(wire.heard).toContain('connection: close')
  wire.destroy()
})

test('a head that comes in pieces is charged, and refused where there is no room', async () => {
  const { server, budget } = serve()
  const wire = new Wire()
  server.accept(wire.socket)
  wire.say(Buffer.from(`POST /p HTTP/1.1\r\nx: ${'y'.repeat(1000)}`))
  await wire.quiet()
  expect(budget.used).toBeGreaterThanOrEqual(1000)
  expect(budget.used).toBeLessThan(3000)
  budget.charge(budget.limit)
  wire.say(Buffer.from('y'.repeat(3000)))
  await wire.quiet()
  expect([answersIn(wire.heard), wire.isOver]).toEqual([['503'], true])
  expect(wire.heard).toContain('retry-after: 1')
  budget.release(budget.limit)
  expect(budget.used).toBe(0)
  wire.destroy()
})
