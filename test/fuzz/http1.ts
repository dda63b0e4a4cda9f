/**
 * Fuzzing of HTTP/1.1 as bytes, without sockets: requests that follow the grammar nearly always. However they are cut up the
 * answers are the same, and no request is taken that Node's parser, which is strict, does not take with the same body.
 */
import { createServer, type Server } from 'node:http'
import { Budget } from '../../core/budget.ts'
import { HttpServer } from '../../net/http-server.ts'
import { protobufFormat } from '../../net/http-exchange.ts'
import { httpServer } from '../../net/http-server-keys.ts'
import { silent } from '../../core/logger.ts'
import { answersIn, Wire } from '../support/http1-wire.ts'
import { Random } from '../support/otlp.ts'
import { note, type Tally, tallyOf, timed } from './findings.ts'

const lines = [
  'POST /p HTTP/1.1',
  'POST /p?q HTTP/1.1',
  'POST http://a/p HTTP/1.1',
  'POST /p HTTP/1.0',
  'GET /p HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'POST /p HTTP/2.0',
  'POST  /p HTTP/1.1',
  'post /p HTTP/1.1',
]
const oddHeaders = [
  'x: y',
  'x:',
  'x:y ',
  ' x: y',
  'x : y',
  'x',
  ': y',
  'x: \xe4',
  'Content-Length: 3',
  'content-length: 03',
  'content-length: 3, 3',
  'content-length: +3',
  'content-length: 99999999999999999999999',
  'Transfer-Encoding: CHUNKED',
  'transfer-encoding: gzip, chunked',
  'transfer-encoding: chunked, chunked',
  'transfer-encoding: identity',
  'transfer-encoding:',
  'transfer-encoding: chunked;a=b',
  'connection: close',
  'connection: keep-alive',
  'connection: transfer-encoding, content-length',
  'expect: 100-continue',
  'expect: more',
  'upgrade: h2c',
  'host: b',
]
const oddEnds = ['\n', '\r', '\r\r\n', '\r\n ', '\r\n\t', '\0\r\n']
const sizes = [
  '3',
  '03',
  '3;a',
  '3;a=b',
  '3;a="b;c"',
  '3;a="',
  '3 ',
  '+3',
  '0x3',
  '3;',
  '3; a',
  '',
  'g',
  '4',
  '2',
  '3;a=b;c',
  '3;=b',
]
const bytes = ['\r', '\n', '\0', ' ', '\t', ':', '0', '3', 'a', '\x7f', '\xff', ';', ',']

/** Mostly the first of two, sometimes the second. */
const rarely = <T>(random: Random, usual: T, odd: () => T, each = 12): T => (random.next(each) === 0 ? odd() : usual)

function chunksOf(random: Random): string {
  let text = ''
  for (let left = random.next(4); left > 0; left--) {
    const end = rarely(random, '\r\n', () => random.pick(oddEnds), 20)
    text += `${rarely(random, '3', () => random.pick(sizes), 3)}${end}abc${rarely(random, '\r\n', () => random.pick(oddEnds), 20)}`
  }
  const trailer = rarely(random, '', () => `${random.pick(oddHeaders)}\r\n`, 4)
  return `${text}${rarely(random, '0', () => random.pick(['00', '0;a', '', '0 ', '-0']))}\r\n${trailer}\r\n`
}

/** One request, or what looks like one. */
function requestOf(random: Random): string {
  const kind = random.next(4)
  const headers = ['host: a', 'content-type: application/x-protobuf']
  if (random.next(30) === 0) headers.shift()
  if (kind === 1 || random.next(20) === 0) headers.push('content-length: 3')
  if (kind === 2 || random.next(20) === 0) headers.push('transfer-encoding: chunked')
  if (random.next(3) === 0) headers.splice(random.next(headers.length + 1), 0, random.pick(oddHeaders))
  const end = () => rarely(random, '\r\n', () => random.pick(oddEnds), 60)
  let text = rarely(random, '', () => random.pick(['\r\n', '\r\n\r\n', '\n', ' ']), 30)
  text += rarely(random, 'POST /p HTTP/1.1', () => random.pick(lines), 5) + end()
  for (const header of headers) text += header + end()
  return `${text}${end()}${kind === 1 ? 'abc' : kind === 2 ? chunksOf(random) : ''}`
}

/** Input `index` of a seed: always the same. */
export function http1Input(seed: number, index: number): Buffer {
  const random = new Random(seed * 0x9e3779b1 + index * 0x85ebca6b)
  let text = ''
  for (let left = 1 + random.next(3); left > 0; left--) text += requestOf(random)
  for (let left = random.next(4) === 0 ? 1 + random.next(3) : 0; left > 0; left--) {
    const at = random.next(text.length)
    text = text.slice(0, at) + random.pick(bytes) + text.slice(at + random.next(2))
  }
  return Buffer.from(text, 'latin1')
}

/** Servers that note which requests they take. */
class Servers {
  readonly taken: string[] = []
  readonly takenByNode: string[] = []
  readonly budget = new Budget(64 << 20)
  readonly own: HttpServer<undefined>
  readonly node: Server

  constructor() {
    this.own = new HttpServer({
      config: httpServer({ endpoint: '127.0.0.1:0' }).parse({}),
      budget: this.budget,
      log: silent,
      connected: () => undefined,
    })
    this.own.register('/p', [protobufFormat], exchange => {
      this.budget.release(exchange.charge)
      this.taken.push(exchange.body.toString('latin1'))
      exchange.reply(exchange.body)
    })
    this.node = createServer((request, response) => {
      let body = ''
      request.setEncoding('latin1').on('data', part => (body += String(part)))
      request.on('error', () => {})
      request.on('end', () => {
        const isOurs = /^(?:http:\/\/a)?\/p(?:\?|$)/.test(request.url ?? '') && request.method === 'POST'
        if (isOurs && request.headers['content-type'] === protobufFormat.type) this.takenByNode.push(body)
        response.end(body)
      })
    })
    // What came before the fault is to be read to its end.
    this.node.on('clientError', () => {})
  }

  /** What is answered to these parts, and which bodies were taken. */
  async serve(parts: readonly Buffer[]): Promise<string> {
    this.taken.length = 0
    const wire = new Wire()
    this.own.accept(wire.socket)
    await said(wire, parts)
    const answers = answersIn(wire.heard.replaceAll('HTTP/1.1 100 Continue\r\n\r\n', ''))
    const heard = JSON.stringify([answers, wire.isOver, this.taken])
    wire.destroy()
    await wire.quiet()
    return heard
  }

  /** Lets Node take it. */
  async serveByNode(input: Buffer): Promise<void> {
    this.takenByNode.length = 0
    const wire = new Wire()
    this.node.emit('connection', wire.socket)
    await said(wire, [input])
    wire.destroy()
    await wire.quiet()
  }
}

async function said(wire: Wire, parts: readonly Buffer[]): Promise<void> {
  wire.on('error', () => {})
  for (const part of parts) {
    wire.say(part)
    await wire.quiet(1)
  }
  await wire.quiet()
}

function cut(random: Random, input: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at < input.length;) {
    const to = at + 1 + random.next(random.next(2) === 0 ? 4 : 60)
    parts.push(input.subarray(at, to))
    at = to
  }
  return parts
}

/** Fuzzes a stretch of inputs. */
export async function fuzzHttp1(
  seed: number,
  from: number,
  count: number,
  began: (index: number) => void = () => {},
): Promise<Tally> {
  const tally = tallyOf('http1')
  const servers = new Servers()
  const random = new Random(seed + from)
  for (let index = from; index < from + count; index++) {
    began(index)
    const since = performance.now()
    const input = http1Input(seed, index)
    const found = (what: string): void => note(tally, { what, seed, index, input })
    const whole = await servers.serve([Buffer.from(input)])
    const taken = servers.taken.slice()
    const pieces = await servers.serve(cut(random, input))
    if (pieces !== whole) found(`whole ${whole}, in pieces ${pieces}`)
    if (servers.budget.used !== 0) found(`${servers.budget.used} bytes stay charged`)
    await servers.serveByNode(input)
    const byNode = servers.takenByNode.slice(0, taken.length)
    if (JSON.stringify(byNode) !== JSON.stringify(taken)) {
      found(`taken: ${JSON.stringify(taken)}; by Node: ${JSON.stringify(byNode)}`)
    }
    tally.inputs++
    if (taken.length > 0) tally.accepted++
    if (/"[45]\d\d"/.test(whole)) tally.refused++
    timed(tally, index, since)
  }
  await servers.own.stop(0)
  return tally
}
