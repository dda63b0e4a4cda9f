/**
 * Fuzzing of HTTP/2 as its client has it, without sockets and with a clock that is moved: servers that say what they should,
 * nearly. Half of the inputs go to a session with streams that count what they are told; the others to a whole client, whose
 * calls have to end in time, and which has to find the server that comes after, beside one that nobody disturbs.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { silent } from '../../core/logger.ts'
import { GrpcClient, GrpcError } from '../../net/grpc-client.ts'
import { ClientSession } from '../../net/http2/client-session.ts'
import { ClientStream } from '../../net/http2/client-stream.ts'
import { packHeaders } from '../../net/http2/message.ts'
import { ErrorCode } from '../../net/http2/protocol.ts'
import { settings, uint32 } from '../attacks/frames.ts'
import { frame, type ReadFrame, readFrames } from '../support/http2-frames.ts'
import { MemorySocket } from '../support/memory-socket.ts'
import { Random } from '../support/otlp.ts'
import { answerTo, type Script, scriptOf, type Step } from './answers.ts'
import { note, type Tally, tallyOf, timed } from './findings.ts'
import { MovedTimers, settled } from '../support/moved-timers.ts'

const path = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'
const clientPreface = 24
const [DATA, HEADERS, GOAWAY, WINDOW_UPDATE] = [0, 1, 7, 8]
const address = { host: '127.0.0.1', port: 1 }

/** The other end of a connection: keeps what comes, and answers it where it is `well`. */
class Server extends MemorySocket {
  isWell = false
  isCut = false
  /** What is wrong with what the client wrote. */
  readonly faults: string[] = []
  #bytes: Buffer = Buffer.alloc(0)
  #isPrefaced = false
  #isGreeted = false
  /** Streams that were asked on to their end, and bytes for which there is room again. */
  readonly #asked = new Set<number>()
  #taken = 0

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    if (!this.#isPrefaced && this.#bytes.length >= clientPreface) {
      this.#isPrefaced = true
      this.#bytes = this.#bytes.subarray(clientPreface)
    }
    if (this.#isPrefaced) {
      const { frames, rest } = readFrames(this.#bytes)
      this.#bytes = rest
      for (const one of frames) this.#read(one)
    }
    done()
    // No socket brings anything before what is written to it has returned.
    if (this.isWell) setImmediate(() => this.answer())
  }

  /** From now on it is a good server. */
  heal(): void {
    this.isWell = true
    this.answer()
  }

  answer(): void {
    if (this.destroyed || this.readableEnded) return
    if (!this.#isGreeted && this.#isPrefaced) {
      this.#isGreeted = true
      this.push(Buffer.concat([settings({ 3: 100, 4: 1 << 24 }), frame(WINDOW_UPDATE, 0, 0, uint32(1 << 24))]))
    }
    if (this.#taken > 0) this.say(frame(WINDOW_UPDATE, 0, 0, uint32(this.#taken)))
    this.#taken = 0
    for (const stream of this.#asked) this.say(answerTo(stream))
    this.#asked.clear()
  }

  /** The script has said so. */
  greeted(): void {
    this.#isGreeted = true
  }

  say(bytes: Buffer): void {
    // What is read is somebody's to use again.
    if (!this.destroyed && !this.isCut) this.push(Buffer.from(bytes))
  }

  /** Whatever came has come whole. */
  check(): void {
    if (this.#bytes.length > 0) this.faults.push('a frame that is not whole')
  }

  #read({ type, flags, stream, payload }: ReadFrame): void {
    if (payload.length > 16_384) this.faults.push('a frame that is too large')
    if (type === GOAWAY && payload.readUInt32BE(4) === ErrorCode.INTERNAL_ERROR) this.faults.push('a fault of ours')
    if (type !== DATA && type !== HEADERS) return
    if ((flags & 1) !== 0) this.#asked.add(stream)
    if (type === DATA && this.isWell) this.#taken += payload.length
  }
}

/** A stream that counts. */
class Counting extends ClientStream {
  readonly faults: string[]
  ended = 0
  #bytes = 0
  #heads = 0
  #trailers = 0

  constructor(faults: string[]) {
    super()
    this.faults = faults
  }

  answered(_raw: readonly string[], isLast: boolean): void {
    this.#open('a head')
    if (++this.#heads > 1) this.faults.push('a second head')
    if (isLast && this.#bytes > 0) this.faults.push('a head behind the body')
  }

  received(_bytes: Buffer, from: number, to: number): void {
    this.#open('a part of the body')
    this.#bytes += to - from
    if (this.#heads === 0) this.faults.push('a body before the head')
    if (to <= from) this.faults.push('a part of nothing')
    if (this.#bytes > rules.answer) this.faults.push('more than the window')
  }

  trailed(): void {
    this.#open('trailers')
    if (++this.#trailers > 1 || this.#heads === 0) this.faults.push('trailers where none may be')
  }

  closed(): void {
    if (++this.ended > 1) this.faults.push('the end, twice')
  }

  #open(what: string): void {
    if (this.ended > 0) this.faults.push(`${what} after the end`)
  }
}

const rules = { answer: 20_000, window: 100_000, headers: { count: 20, bytes: 20_000 } }
const head = packHeaders([
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', path],
  [':authority', 'x'],
])

/** Says and does what of `step` is the server's. */
function serve(server: Server, step: Step): void {
  if (step.kind === 'bytes') server.say(step.bytes)
  else if (step.kind === 'end' && !server.isCut) {
    server.isCut = true
    server.push(null)
  } else if (step.kind === 'cut') server.destroy()
}

/** Plays a script to a session alone; resolves to what is wrong. */
export async function playSession(
  { steps }: Script,
  timers: MovedTimers,
): Promise<{ faults: string[]; isServed: boolean }> {
  const faults: string[] = []
  const server = new Server()
  server.on('error', () => {})
  let over = 0
  let pongs = 0
  let pings = 0
  const session = new ClientSession(server, { allowed() {}, leaves() {}, over: () => void over++ }, rules)
  const streams: Counting[] = []
  for (const step of steps) {
    serve(server, step)
    if (step.kind === 'turn') await nextTurn()
    else if (step.kind === 'call') {
      const stream = new Counting(faults)
      if (session.request(stream, { head, body: Buffer.alloc(step.size), trailers: undefined })) streams.push(stream)
    } else if (step.kind === 'cancel') {
      const stream = streams[step.which]
      if (stream !== undefined) session.cancel(stream)
    } else if (step.kind === 'ping') {
      pings++
      session.ping(() => void pongs++)
    }
  }
  await settled()
  const isServed = streams.some(stream => stream.ended > 0 && stream.resetCode === undefined && stream.isWhole)
  if (over > 0 && streams.some(({ ended }) => ended !== 1)) faults.push('it is over, and a stream is not')
  session.destroy()
  await timers.advance(1000)
  server.check()
  if (streams.some(({ ended }) => ended !== 1)) faults.push('a stream that did not end')
  if (session.open.size > 0) faults.push(`${session.open.size} streams are left`)
  if (over !== 1) faults.push(`over ${over} times`)
  if (pongs > pings) faults.push('more pongs than pings')
  return { faults: [...faults, ...server.faults], isServed }
}

/** A client, its calls, and the clock they end by. */
class Channel {
  readonly faults: string[] = []
  readonly servers: Server[] = []
  readonly #timers: MovedTimers
  readonly client: GrpcClient
  open = 0
  good = 0

  /** `isWell`: whether already its first server is a good one. */
  constructor(timers: MovedTimers, isWell: boolean) {
    this.#timers = timers
    this.client = new GrpcClient({
      endpoint: '127.0.0.1:1',
      userAgent: 'x',
      log: silent,
      resolve: () => Promise.resolve([address]),
      connect: () => {
        const server = new Server()
        server.isWell = isWell || this.servers.length > 0
        this.servers.push(server)
        setImmediate(() => server.emit('connect'))
        return server
      },
    })
  }

  /** Calls; what is wrong with how that ends is a fault. */
  async call(size: number, timeout: number): Promise<boolean> {
    const due = this.#timers.now + timeout
    this.open++
    let isGood = false
    try {
      await this.client.call(path, Buffer.concat([Buffer.from([0]), uint32(size), Buffer.alloc(size)]), { timeout })
      isGood = true
      this.good++
    } catch (error) {
      const isKnown = error instanceof GrpcError && error.code >= 1 && error.code <= 16 && error.message !== ''
      if (!isKnown) this.faults.push(`a call ended with ${error instanceof Error ? error.stack : String(error)}`)
    }
    this.open--
    if (this.#timers.now > due) this.faults.push('a call ended after its deadline')
    return isGood
  }

  finish(): void {
    for (const server of this.servers) {
      server.check()
      this.faults.push(...server.faults)
      if (!server.destroyed) this.faults.push('a connection that was left')
    }
    if (this.open > 0) this.faults.push(`${this.open} calls did not end`)
  }
}

/** Plays a script to a whole client. */
export async function playClient(
  { steps, isFramed }: Script,
  timers: MovedTimers,
  beside: Channel,
): Promise<{ faults: string[]; isServed: boolean }> {
  const channel = new Channel(timers, false)
  // What it says waits until there is a connection.
  void channel.call(10, 1000)
  await settled()
  const [server] = channel.servers
  for (const step of steps) {
    serve(server, step)
    if (step.kind === 'turn') await nextTurn()
    else if (step.kind === 'call') void channel.call(step.size, step.timeout)
    else if (step.kind === 'wait') await timers.advance(step.ms)
  }
  const wasWell = await Promise.race([beside.call(100, 1000), settled().then(settled)])
  if (wasWell !== true) channel.faults.push('the connection beside it was disturbed')
  const isServed = channel.good > 0
  if (isFramed) {
    server.greeted()
    server.heal()
  }
  await timers.advance(5000)
  if (channel.open > 0) channel.faults.push(`${channel.open} calls did not end in time`)
  server.destroy()
  // It has to be found that another one is there.
  await timers.advance(10_000)
  const found = await Promise.race([channel.call(100, 1000), timers.advance(1000).then(settled)])
  if (found !== true) channel.faults.push('the server that came after was not found')
  channel.client.close()
  await timers.advance(1000)
  channel.finish()
  return { faults: channel.faults, isServed }
}

/** Fuzzes a stretch of inputs. */
export async function fuzzHttp2Client(
  seed: number,
  from: number,
  count: number,
  began?: (index: number) => void,
): Promise<Tally> {
  const tally = tallyOf('http2-client')
  const timers = new MovedTimers()
  timers.begin()
  const beside = new Channel(timers, true)
  try {
    for (let index = from; index < from + count; index++) {
      began?.(index)
      const script = scriptOfInput(seed, index)
      const since = performance.now()
      const { faults, isServed } =
        index % 2 === 0 ? await playSession(script, timers) : await playClient(script, timers, beside)
      timed(tally, index, since)
      if (timers.size > 0) faults.push(`${timers.size} timers are left`)
      tally.inputs++
      if (isServed) tally.accepted++
      else tally.refused++
      if (faults.length > 0) note(tally, { what: [...new Set(faults)].join('; '), seed, index, input: bytesOf(script) })
    }
    beside.client.close()
  } finally {
    timers.end()
  }
  return tally
}

/** Input `index`: always the same. */
export const scriptOfInput = (seed: number, index: number): Script =>
  scriptOf(new Random(seed * 0x9e3779b1 + index * 0x85ebca6b))

/** What the server of a script says. */
export const bytesOf = ({ steps }: Script): Buffer =>
  Buffer.concat(steps.map(step => (step.kind === 'bytes' ? step.bytes : Buffer.alloc(0))))
