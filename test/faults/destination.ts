/** An OTLP destination over gRPC and HTTP that counts every item, and misbehaves as a test says, from one moment to the next. */
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http'
import { constants, createServer as createHttp2, type ServerHttp2Stream } from 'node:http2'
import { createServer, type Server, type Socket } from 'node:net'
import { encode } from '../support/otlp-proto.ts'
import { readItems } from './ids.ts'
import type { Ledger } from './ledger.ts'

/** One request as it came. */
export interface Arrival {
  readonly signal: 'traces' | 'logs'
  readonly bytes: number
  /** Ids of the items, in order. */
  readonly senders: Uint32Array
  readonly counters: Uint32Array
  readonly items: number
  has(sender: number, counter: number): boolean
}

/** What is done with a request. `taken`: its items count as arrived. */
export type Reply =
  | { readonly does: 'take'; readonly after?: number }
  /** Never an answer. */
  | { readonly does: 'hang'; readonly taken?: boolean }
  /** The connection breaks in place of an answer. */
  | { readonly does: 'reset'; readonly taken?: boolean }
  /** An answer that says success in bytes that are none; it is taken. */
  | { readonly does: 'babble' }
  /** Takes all but those for which `rejects` holds. */
  | { readonly does: 'partial'; readonly rejects: (sender: number, counter: number) => boolean }
  | {
      readonly does: 'fail'
      readonly grpc: number
      readonly http: number
      /** Milliseconds. */
      readonly retryAfter?: number
      readonly message?: string
    }

/** What happens to connections: served; accepted and never read; answered with bytes that are no protocol; refused. */
export type Line = 'up' | 'silent' | 'noise' | 'down'

const take: Reply = { does: 'take' }

export class Destination {
  readonly ledger: Ledger
  behave: (arrival: Arrival) => Reply = () => take
  /** Requests that came, and those of which something was taken. */
  requests = 0
  taken = 0
  /** Items of requests that were refused or rejected, by how often they came. */
  turnedAway = 0
  /** When requests came, in milliseconds, by the id of their first item. */
  readonly times = new Map<string, number[]>()
  #line: Line = 'up'
  readonly #ports = { grpc: 0, http: 0 }
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()
  readonly #http2 = createHttp2({ settings: { initialWindowSize: 16 << 20, maxConcurrentStreams: 1000 } })
  readonly #http1 = createHttp((request, response) => this.#serveHttp(request, response))

  private constructor(ledger: Ledger) {
    this.ledger = ledger
    this.#http2.on('session', session => {
      session.setLocalWindowSize(64 << 20)
      session.on('error', () => {})
    })
    this.#http2.on('stream', (stream, headers) => this.#serveGrpc(stream, String(headers[':path'])))
  }

  static async start(ledger: Ledger): Promise<Destination> {
    const destination = new Destination(ledger)
    await destination.#listen()
    return destination
  }

  get grpc(): number {
    return this.#ports.grpc
  }

  get http(): number {
    return this.#ports.http
  }

  /** Ends all connections and treats the next ones so. */
  async line(line: Line): Promise<void> {
    const before = this.#line
    this.#line = line
    if (line === 'down') await this.#closeServers()
    this.cut()
    if (before === 'down' && line !== 'down') await this.#listen()
  }

  /** Breaks all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    await this.line('down')
  }

  async #listen(): Promise<void> {
    for (const [name, emit] of [
      ['grpc', (socket: Socket) => this.#http2.emit('connection', socket)],
      ['http', (socket: Socket) => this.#http1.emit('connection', socket)],
    ] as const) {
      const server = createServer(socket => this.#accept(socket, emit))
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(this.#ports[name], '127.0.0.1', resolve)
      })
      const address = server.address()
      if (address !== null && typeof address === 'object') this.#ports[name] = address.port
      this.#servers.push(server)
    }
  }

  async #closeServers(): Promise<void> {
    const closed = this.#servers.splice(0).map(server => new Promise(resolve => server.close(resolve)))
    this.cut()
    await Promise.all(closed)
  }

  #accept(socket: Socket, emit: (socket: Socket) => void): void {
    this.#sockets.add(socket)
    socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket))
    if (this.#line === 'up') return emit(socket)
    // Nothing is read: what is sent fills the buffers of the system.
    if (this.#line === 'silent') return
    socket.resume()
    socket.once('data', () => socket.write(Buffer.from('\x00\xff\x13 this is no protocol at all \x80\x80\x80\x80')))
  }

  #arrive(signal: 'traces' | 'logs', body: Buffer): { arrival: Arrival; reply: Reply } {
    const senders: number[] = []
    const counters: number[] = []
    const harmed: boolean[] = []
    readItems(signal, body, (sender, counter, intact) => {
      senders.push(sender)
      counters.push(counter)
      harmed.push(!intact)
    })
    this.requests++
    this.#noteTime(`${senders[0]}:${counters[0]}`)
    const arrival: Arrival = {
      signal,
      bytes: body.length,
      senders: Uint32Array.from(senders),
      counters: Uint32Array.from(counters),
      items: counters.length,
      has: (sender, counter) => counters.some((one, i) => one === counter && senders[i] === sender),
    }
    const reply = this.behave(arrival)
    let taken = 'taken' in reply ? (reply.taken ?? false) : reply.does === 'take' || reply.does === 'babble'
    const rejects = reply.does === 'partial' ? reply.rejects : undefined
    if (rejects !== undefined) taken = true
    if (!taken) this.turnedAway += arrival.items
    else {
      this.taken++
      for (let i = 0; i < counters.length; i++) {
        if (rejects?.(senders[i], counters[i])) this.turnedAway++
        else this.ledger.saw(senders[i], counters[i], !harmed[i])
      }
    }
    return { arrival, reply }
  }

  #noteTime(id: string): void {
    const times = this.times.get(id)
    if (times !== undefined) times.push(performance.now())
    // Enough for those who look; millions of requests are not kept.
    else if (this.times.size < 10_000) this.times.set(id, [performance.now()])
  }

  #serveGrpc(stream: ServerHttp2Stream, path: string): void {
    const chunks: Buffer[] = []
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      if (stream.destroyed) return
      const body = Buffer.concat(chunks).subarray(5)
      const { arrival, reply } = this.#arrive(path.includes('logs') ? 'logs' : 'traces', body)
      const answer = (message: Buffer, trailers: Record<string, string>): void => {
        if (stream.destroyed) return
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers(trailers))
        const prefix = Buffer.alloc(5)
        prefix.writeUInt32BE(message.length, 1)
        stream.end(Buffer.concat([prefix, message]))
      }
      this.#reply(reply, arrival, {
        answer: message => answer(message, { 'grpc-status': '0' }),
        fail: ({ grpc, retryAfter, message = 'no' }) => {
          const details = rpcStatus(grpc, message, retryAfter).toString('base64')
          answer(Buffer.alloc(0), {
            'grpc-status': String(grpc),
            'grpc-message': message,
            'grpc-status-details-bin': details,
          })
        },
        reset: () => {
          stream.close(constants.NGHTTP2_INTERNAL_ERROR)
          stream.session?.destroy()
        },
      })
    })
  }

  #serveHttp(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = []
    request.on('error', () => {})
    response.on('error', () => {})
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { arrival, reply } = this.#arrive(request.url?.endsWith('logs') ? 'logs' : 'traces', Buffer.concat(chunks))
      const type = { 'content-type': 'application/x-protobuf' }
      this.#reply(reply, arrival, {
        answer: message => void response.writeHead(200, type).end(message),
        fail: ({ grpc, http, retryAfter, message = 'no' }) => {
          const delay = retryAfter === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfter / 1000)) }
          response.writeHead(http, { ...type, ...delay }).end(rpcStatus(grpc, message, undefined))
        },
        reset: () => request.socket.destroy(),
      })
    })
  }

  #reply(
    reply: Reply,
    { items, senders, counters }: Arrival,
    how: {
      answer(message: Buffer): void
      fail(what: Extract<Reply, { does: 'fail' }>): void
      reset(): void
    },
  ): void {
    switch (reply.does) {
      case 'take':
        if (reply.after === undefined) how.answer(Buffer.alloc(0))
        else setTimeout(() => how.answer(Buffer.alloc(0)), reply.after)
        return
      case 'hang':
        return
      case 'reset':
        return how.reset()
      case 'babble':
        return how.answer(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]))
      case 'partial': {
        let rejected = 0
        for (let i = 0; i < items; i++) if (reply.rejects(senders[i], counters[i])) rejected++
        const partial = { rejected: String(rejected), error_message: 'these are not wanted' }
        return how.answer(rejected === 0 ? Buffer.alloc(0) : encode('Response', { partial_success: partial }))
      }
      case 'fail':
        how.fail(reply)
    }
  }
}

function rpcStatus(code: number, message: string, retryAfter: number | undefined): Buffer {
  const info = (delay: number) => ({
    type_url: 'type.googleapis.com/google.rpc.RetryInfo',
    value: encode('RetryInfo', {
      retry_delay: { seconds: String(Math.floor(delay / 1000)), nanos: Math.round((delay % 1000) * 1e6) },
    }),
  })
  return encode('RpcStatus', { code, message, details: retryAfter === undefined ? [] : [info(retryAfter)] })
}
