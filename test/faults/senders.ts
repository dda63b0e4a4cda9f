/**
 * Senders that keep account of every item: what was acknowledged, refused, or left open. They send the same items again
 * until they hear a success, as OTLP asks of them, and never without the ledger knowing.
 */
import { Agent, request as httpRequest } from 'node:http'
import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { setTimeout as delay } from 'node:timers/promises'
import { decode, listOf, type Plain } from '../support/otlp-proto.ts'
import { RequestMaker, type Shape } from './ids.ts'
import type { Ledger } from './ledger.ts'

/** What came of one attempt. */
export type Heard =
  | { readonly what: 'success'; readonly rejected: number }
  /** Come again, in so many milliseconds if that was said. */
  | { readonly what: 'refused'; readonly code: number; readonly after: number | undefined; readonly message: string }
  /** For good. */
  | { readonly what: 'rejected'; readonly code: number; readonly message: string }
  /** No answer: it may have been taken. */
  | { readonly what: 'unknown'; readonly message: string }
  /** Nobody listens. */
  | { readonly what: 'unreached'; readonly message: string }

function failed(error: Error): Heard {
  // Node's HTTP/2 has it as the cause of what it tells a stream.
  const nobody = [error, error.cause].some(one => one instanceof Error && 'code' in one && one.code === 'ECONNREFUSED')
  return { what: nobody ? 'unreached' : 'unknown', message: error.message }
}

/** One connection, or several, to one receiver. */
export interface Client {
  send(signal: Shape['signal'], body: Buffer, patience: number): Promise<Heard>
  close(): void
}

/** OTLP/HTTP without any retry of its own. */
export function httpClient(port: number, more: Readonly<Record<string, string>> = {}): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 16 })
  return {
    send: (signal, body, patience) =>
      new Promise(resolve => {
        const headers = { 'content-type': 'application/x-protobuf', 'content-length': body.length, ...more }
        const options = { agent, method: 'POST', host: '127.0.0.1', port, path: `/v1/${signal}`, headers }
        const request = httpRequest(options, response => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', error => resolve({ what: 'unknown', message: error.message }))
          response.on('end', () => {
            if (!response.complete) return resolve({ what: 'unknown', message: 'the answer is cut off' })
            const code = response.statusCode ?? 0
            const answer = Buffer.concat(chunks)
            // Whoever sends JSON keeps no account of items.
            const isJson = response.headers['content-type'] === 'application/json'
            if (code === 200) return resolve({ what: 'success', rejected: isJson ? 0 : rejectedOf(answer) })
            const after = response.headers['retry-after']
            const message = answer.toString('latin1')
            if ([429, 502, 503, 504].includes(code)) {
              resolve({ what: 'refused', code, after: after === undefined ? undefined : Number(after) * 1000, message })
            } else resolve({ what: 'rejected', code, message })
          })
        })
        request.setTimeout(patience, () => request.destroy(new Error('no answer in time')))
        request.on('error', error => resolve(failed(error)))
        request.end(body)
      }),
    close: () => agent.destroy(),
  }
}

const retryable = new Set([1, 4, 8, 10, 11, 14, 15])

/** OTLP/gRPC over one connection that is made anew when it breaks; what HTTP/2 says nobody has seen is tried so often. */
export function grpcClient(port: number, tls = false, more: Readonly<Record<string, string>> = {}, tries = 3): Client {
  let session: ClientHttp2Session | undefined
  const sessionNow = (): ClientHttp2Session => {
    if (session !== undefined && !session.closed && !session.destroyed) return session
    const made = connect(`${tls ? 'https' : 'http'}://127.0.0.1:${port}`, { rejectUnauthorized: false })
    made.on('error', () => {})
    made.on('goaway', () => {
      if (session === made) session = undefined
    })
    made.on('close', () => {
      if (session === made) session = undefined
    })
    return (session = made)
  }
  const attempt = (signal: Shape['signal'], body: Buffer, patience: number): Promise<Heard | 'unsent'> =>
    new Promise(resolve => {
      const service = signal === 'traces' ? 'trace.v1.TraceService' : 'logs.v1.LogsService'
      const headers = {
        ':method': 'POST',
        ':path': `/opentelemetry.proto.collector.${service}/Export`,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...more,
      }
      const stream = sessionNow().request(headers)
      const chunks: Buffer[] = []
      let trailers: Record<string, unknown> = {}
      const timer = setTimeout(() => stream.destroy(new Error('no answer in time')), patience)
      const end = (heard: Heard | 'unsent'): void => {
        clearTimeout(timer)
        resolve(heard)
      }
      stream.on('response', fields => {
        // An answer without a body has its status here.
        if (fields['grpc-status'] !== undefined) trailers = fields
      })
      stream.on('trailers', fields => (trailers = fields))
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      // By the rules of HTTP/2 nobody has seen it. Node's client ends calls so that it was about to send when it was told to go.
      stream.on('error', error => end(stream.rstCode === constants.NGHTTP2_REFUSED_STREAM ? 'unsent' : failed(error)))
      stream.on('close', () => end(heardOf(trailers, Buffer.concat(chunks))))
      const prefix = Buffer.alloc(5)
      prefix.writeUInt32BE(body.length, 1)
      stream.end(Buffer.concat([prefix, body]))
    })
  return {
    // Clients of gRPC send such a call again without a word.
    async send(signal, body, patience) {
      for (let i = 0; i < tries; i++) {
        const heard = await attempt(signal, body, patience)
        if (heard !== 'unsent') return heard
      }
      return { what: 'unknown', message: 'refused by HTTP/2' }
    },
    close: () => session?.destroy(),
  }
}

function heardOf(trailers: Record<string, unknown>, answer: Buffer): Heard {
  const status = trailers['grpc-status']
  if (status === undefined) return { what: 'unknown', message: 'no status' }
  const code = Number(status)
  if (code === 0) return { what: 'success', rejected: rejectedOf(answer.subarray(5)) }
  const details = trailers['grpc-status-details-bin']
  const after = typeof details === 'string' ? delayOf(Buffer.from(details, 'base64')) : undefined
  const message = String(trailers['grpc-message'])
  // RESOURCE_EXHAUSTED is worth a retry only with a delay.
  if (!retryable.has(code) || (code === 8 && after === undefined)) return { what: 'rejected', code, message }
  return { what: 'refused', code, after, message }
}

function delayOf(details: Buffer): number | undefined {
  for (const { type_url, value } of listOf(decode('RpcStatus', details), 'details')) {
    if (type_url !== 'type.googleapis.com/google.rpc.RetryInfo') continue
    const info = decode('RetryInfo', Buffer.from(String(value).slice(2), 'hex'))
    const { seconds = '0', nanos = 0 } = (info['retry_delay'] ?? {}) as Plain
    return Number(seconds) * 1000 + Number(nanos) / 1e6
  }
  return undefined
}

function rejectedOf(answer: Buffer): number {
  const partial = decode('Response', answer)['partial_success'] as Plain | undefined
  return Number(partial?.['rejected'] ?? 0)
}

export interface SenderOptions {
  readonly ledger: Ledger
  readonly port: number
  readonly transport: 'grpc' | 'http'
  /** Over gRPC. */
  readonly tls?: boolean
  /** Makes another client than the usual one of that transport. */
  readonly client?: (port: number) => Client
  readonly shape: Shape
  /** Requests at the same time. */
  readonly concurrency?: number
  /** Requests a second; as many as go without it. */
  readonly rate?: number
  /** Requests in all; until `stop` without it. */
  readonly requests?: number
  /** Whether what was refused or left open is sent again. */
  readonly retry?: boolean
  /** Milliseconds an attempt may take. */
  readonly patience?: number
  /** Told of each attempt: its first counter. */
  readonly onAttempt?: (first: number) => void
  /** Longest wait before sending again, whatever was asked for. */
  readonly mostWait?: number
}

/** One sender under load. */
export class LoadSender {
  readonly number: number
  readonly counts = {
    attempts: 0,
    success: 0,
    refused: 0,
    rejected: 0,
    unknown: 0,
    unreached: 0,
    refusedWithoutDelay: 0,
  }
  /** Milliseconds each success took. */
  readonly took: number[] = []
  /** By code, what refusals and rejections said, once each. */
  readonly said = new Map<string, string>()
  readonly #options: SenderOptions
  readonly #client: Client
  readonly #maker: RequestMaker
  readonly #began = performance.now()
  #made = 0
  #stopped = false
  #done: Promise<unknown> = Promise.resolve()

  constructor(options: SenderOptions) {
    this.#options = options
    this.number = options.ledger.join()
    this.#maker = new RequestMaker(this.number, options.shape)
    const usual = (port: number): Client => (transport === 'grpc' ? grpcClient(port, options.tls) : httpClient(port))
    const { port, transport, client = usual } = options
    this.#client = client(port)
  }

  get itemsEach(): number {
    return this.#options.shape.items
  }

  get bytesEach(): number {
    return this.#maker.bytes
  }

  start(): this {
    this.#done = Promise.all(Array.from({ length: this.#options.concurrency ?? 4 }, () => this.#loop()))
    return this
  }

  /** Resolves when all `requests` are through. */
  finished(): Promise<unknown> {
    return this.#done
  }

  /** Lets the attempts under way end and sends no more. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
    this.#client.close()
  }

  async #loop(): Promise<void> {
    const { ledger, shape, rate, requests = Infinity } = this.#options
    while (!this.#stopped && this.#made < requests) {
      const turn = this.#made++
      if (rate !== undefined) {
        const wait = this.#began + (turn / rate) * 1000 - performance.now()
        if (wait > 1) await delay(wait)
        if (this.#stopped) return
      }
      const first = ledger.take(this.number, shape.items)
      const body = this.#maker.make(first)
      while (!(await this.#attempt(first, body)) && !this.#stopped);
    }
  }

  /** Says whether the items are through, one way or the other. */
  async #attempt(first: number, body: Buffer): Promise<boolean> {
    const { ledger, shape, patience = 10_000, retry = true, mostWait = 1000 } = this.#options
    this.counts.attempts++
    ledger.sent(this.number, first, shape.items)
    const from = performance.now()
    this.#options.onAttempt?.(first)
    const heard = await this.#client.send(shape.signal, body, patience)
    if (heard.what === 'unreached') ledger.unsent(this.number, first, shape.items)
    this.counts[heard.what]++
    if (heard.what === 'success') {
      this.took.push(performance.now() - from)
      if (heard.rejected === 0) ledger.acknowledged(this.number, first, shape.items)
      return true
    }
    this.said.set(`${heard.what} ${'code' in heard ? heard.code : ''}`, heard.message)
    if (heard.what === 'rejected' || !retry) return true
    if (heard.what === 'refused' && heard.after === undefined) this.counts.refusedWithoutDelay++
    await delay(heard.what === 'refused' ? Math.min(heard.after ?? 50, mostWait) : 10)
    return false
  }
}

/** The value that a share `q` of `values` does not exceed. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}
