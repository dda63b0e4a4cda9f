/** What an attack is, and what it is done with: sockets and requests without any manners. */
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http'
import http2, { type ClientHttp2Session } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { type Signal, signals } from '../../proto/signals.ts'
import type { Ports, VictimName } from './victims.ts'
import { preface, settings } from './frames.ts'

/** Who is attacked. Lives in the process of the attacker. */
export interface Target {
  readonly ports: Ports
  /** A folder of the victim's own, with its configuration in it. */
  readonly folder: string
  readonly config: string
  /** What runs. */
  readonly bundle: string
  /** Ends when the time of the attack is over. */
  readonly over: AbortSignal
  /** Something that the victim must not do. */
  fault(what: string): void
  /** Something it answered, for the report. */
  heard(what: string): void
}

/** One attack. */
export interface Attack {
  /** A sentence about who does what. */
  readonly name: string
  /** The row of the report on faults that this is of, or `held`. */
  readonly of: string
  readonly victim?: VictimName
  /** Most seconds it goes on. */
  readonly seconds?: number
  /** Makes what is sent, before the time begins. */
  prepare?(): unknown
  run(target: Target): Promise<void>
}

/** Makes something once, when it is first wanted. */
export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}

/** A connection that writes what it is told, and counts what comes. */
export class Wire {
  readonly socket: Socket
  closed = false
  /** The latest that came. */
  text = ''
  readonly #over: Promise<void>

  constructor(port: number, made: Socket = connect(port, '127.0.0.1'), reads = true) {
    this.socket = made
    made.on('error', () => {})
    if (reads) made.on('data', (chunk: Buffer) => (this.text = (this.text + chunk.toString('latin1')).slice(-65_536)))
    this.#over = new Promise(resolve => {
      made.on('close', () => {
        this.closed = true
        resolve()
      })
    })
  }

  /** Writes; resolves when there is room for more, or nobody reads any more. False when it is closed. */
  async write(bytes: Uint8Array): Promise<boolean> {
    if (this.closed || this.socket.destroyed) return false
    if (!this.socket.write(bytes)) {
      await Promise.race([new Promise(resolve => this.socket.once('drain', resolve)), this.#over])
    }
    return !this.closed
  }

  /** Resolves to whether the other side closed it in time. */
  async ends(milliseconds: number): Promise<boolean> {
    if (this.closed) return true
    return Promise.race([this.#over.then(() => true), delay(milliseconds, false, { ref: false })])
  }

  close(): void {
    this.socket.destroy()
  }
}

/** A connection of HTTP/2 that has begun. */
export function http2Wire(port: number, values: Readonly<Record<number, number>> = {}, reads = true): Wire {
  const wire = new Wire(port, undefined, reads)
  wire.socket.write(Buffer.concat([preface, settings(values)]))
  return wire
}

/** Writes `bytes` again and again until the time is over, so many bytes are through, or the connection ends. */
export async function flood(target: Target, wire: Wire, bytes: Uint8Array, most = 64 << 20): Promise<number> {
  let sent = 0
  while (!target.over.aborted && sent < most && (await wire.write(bytes))) {
    sent += bytes.length
    // One turn each, so that what is said of the connection is heard.
    await delay(0)
  }
  return sent
}

/** A request over HTTP on a connection of its own; resolves to the status, or to what went wrong. */
export function post(
  target: Target,
  path: string,
  body: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
  port = target.ports.http,
): Promise<number | string> {
  return new Promise(resolve => {
    const type = { 'content-type': 'application/x-protobuf', 'content-length': String(body.length) }
    const options = { port, host: '127.0.0.1', method: 'POST', path, agent: false, headers: { ...type, ...headers } }
    const request = httpRequest(options, response => {
      response.resume()
      response.on('close', () => settle(response.statusCode ?? 0))
    })
    const settle = (what: number | string) => {
      target.over.removeEventListener('abort', leave)
      target.heard(`HTTP ${what}`)
      resolve(what)
    }
    const leave = () => request.destroy(new Error('left'))
    target.over.addEventListener('abort', leave)
    request.on('error', error => settle(error.message))
    request.end(body)
  })
}

/** One connection for calls that are gRPC in all but their message. */
export class Caller {
  readonly #target: Target
  readonly #session: ClientHttp2Session

  constructor(target: Target, port = target.ports.grpc) {
    this.#target = target
    this.#session = http2.connect(`http://127.0.0.1:${port}`)
    this.#session.on('error', () => {})
  }

  /** Calls; resolves to the status of gRPC, or to what went wrong. */
  call(signal: Signal, framed: Buffer, headers: Readonly<Record<string, string>> = {}): Promise<string> {
    const { over, heard } = this.#target
    return new Promise(resolve => {
      if (this.#session.destroyed || this.#session.closed) {
        heard('gRPC: the connection is closed')
        return resolve('closed')
      }
      const stream = this.#session.request({
        ':method': 'POST',
        ':path': signals[signal].grpcPath,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      })
      let status = 'reset'
      const note = (fields: IncomingHttpHeaders) => {
        const said = fields['grpc-status']
        if (typeof said === 'string') status = said
      }
      const leave = () => stream.close(http2.constants.NGHTTP2_CANCEL)
      over.addEventListener('abort', leave)
      stream.on('response', note).on('trailers', note)
      stream.on('error', () => {})
      stream.on('close', () => {
        over.removeEventListener('abort', leave)
        heard(`gRPC ${status}`)
        resolve(status)
      })
      stream.resume()
      stream.end(framed)
    })
  }

  close(): void {
    this.#session.destroy()
  }
}

/** Runs `work` so many times, a few at once, until the time is over. */
export async function repeat(
  target: Target,
  times: number,
  together: number,
  work: (i: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < times && !target.over.aborted) await work(next++)
  }
  await Promise.all(Array.from({ length: together }, lane))
}

/** Waits so long, or until the time is over. */
export async function stay(target: Target, milliseconds: number): Promise<void> {
  await delay(milliseconds, undefined, { signal: target.over }).catch(() => {})
}

/** Whether a terminal would obey what is written, read as latin1; C1 codes in UTF-8 are two bytes. */
export const hasEscapes = (output: string): boolean =>
  output.includes('\u001b') || output.includes('\u0007') || output.includes('\u00c2\u009b')
