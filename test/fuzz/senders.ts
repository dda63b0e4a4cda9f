/** Senders of requests that lie: each hears an answer that is legal, or its connection ends. */
import { Agent, request as httpRequest } from 'node:http'
import http2, { type ClientHttp2Session } from 'node:http2'
import { connect } from 'node:net'
import type { WireInput } from './wire-inputs.ts'

/** What a sender heard: a word for the tally, and what is wrong with it, if anything is. */
export interface Heard {
  readonly answer: string
  readonly fault?: string
  readonly accepted?: boolean
}

/** Milliseconds for an answer; nothing here takes long. */
const patience = 20_000

/** gRPC codes that a sender may hear: none that says the server is broken (UNKNOWN, INTERNAL, DATA_LOSS). */
const legalCodes = new Set(['0', '1', '3', '4', '8', '12', '14', '16'])

/** gRPC calls over a few connections, which are opened again when they end. */
export class GrpcCalls {
  readonly #port: number
  readonly #sessions: (ClientHttp2Session | undefined)[]
  #next = 0
  /** Connections that were opened. */
  opened = 0

  constructor(port: number, connections: number) {
    this.#port = port
    this.#sessions = Array.from({ length: connections }, () => undefined)
  }

  #session(): ClientHttp2Session {
    const at = this.#next++ % this.#sessions.length
    const known = this.#sessions[at]
    if (known !== undefined && !known.closed && !known.destroyed) return known
    const session = http2.connect(`http://127.0.0.1:${this.#port}`, { maxSendHeaderBlockLength: 4 << 20 })
    session.on('error', () => {})
    this.#sessions[at] = session
    this.opened++
    return session
  }

  /** Sends one call. */
  send({ path, method, headers, chunks, ending }: WireInput): Promise<Heard> {
    return new Promise(resolve => {
      let stream: http2.ClientHttp2Stream
      try {
        const all = { ':method': method, ':path': path, ...headers }
        stream = this.#session().request(all, { waitForTrailers: ending === 'trailers', endStream: false })
      } catch (error) {
        // Node does not send everything.
        return resolve({
          answer: `not sent: ${error instanceof Error && 'code' in error ? String(error.code) : 'error'}`,
        })
      }
      let status = ''
      let code: string | undefined
      const late = setTimeout(() => {
        stream.close(http2.constants.NGHTTP2_CANCEL)
        resolve({ answer: 'late', fault: `no answer within ${patience} ms` })
      }, patience)
      const ended = () => {
        clearTimeout(late)
        if (status === '') return resolve({ answer: ending === 'reset' ? 'reset' : `cut off ${stream.rstCode}` })
        if (code === undefined) {
          // Not gRPC, so answered as HTTP.
          return resolve(
            status === '200'
              ? withoutCode(ending, stream.rstCode)
              : { answer: `HTTP ${status}`, ...(Number(status) >= 500 ? { fault: `HTTP ${status}` } : {}) },
          )
        }
        const legal = status === '200' && legalCodes.has(code)
        resolve({
          answer: `grpc ${code}`,
          accepted: code === '0',
          ...(legal ? {} : { fault: `HTTP ${status}, grpc-status ${code}` }),
        })
      }
      stream.on('response', answer => {
        status = String(answer[':status'])
        if (answer['grpc-status'] !== undefined) code = String(answer['grpc-status'])
      })
      stream.on('trailers', answer => {
        if (answer['grpc-status'] !== undefined) code = String(answer['grpc-status'])
      })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-trailer': 'v', 'grpc-status': '0' }))
      stream.on('error', () => {})
      stream.on('close', ended)
      stream.resume()
      chunks.forEach((chunk, i) => {
        if (ending !== 'reset' || i === 0) stream.write(chunk)
      })
      if (ending === 'reset') setImmediate(() => stream.close(http2.constants.NGHTTP2_CANCEL))
      else stream.end()
    })
  }

  close(): void {
    for (const session of this.#sessions) session?.destroy()
  }
}

const withoutCode = (ending: WireInput['ending'], reset: number | undefined): Heard =>
  ending === 'reset' || reset !== 0
    ? { answer: `cut off ${reset}` }
    : { answer: 'no code', fault: 'success without grpc-status' }

/** HTTP requests over connections that are used again. */
export class HttpRequests {
  readonly #port: number
  readonly #agent: Agent

  constructor(port: number, connections: number) {
    this.#port = port
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections })
  }

  /** Sends one request. */
  send({ path, method, headers, chunks, ending }: WireInput): Promise<Heard> {
    return new Promise(resolve => {
      try {
        const options = { port: this.#port, host: '127.0.0.1', agent: this.#agent, method, path, headers }
        const request = httpRequest(options, response => {
          response.resume()
          response.on('close', () => {
            clearTimeout(late)
            resolve(judged(response.statusCode ?? 0, response.headers['retry-after']))
          })
        })
        const late = setTimeout(() => {
          request.destroy()
          resolve({ answer: 'late', fault: `no answer within ${patience} ms` })
        }, patience)
        request.on('error', error => {
          clearTimeout(late)
          resolve({ answer: `cut off ${'code' in error ? String(error.code) : ''}` })
        })
        if (ending === 'trailers' && headers['transfer-encoding'] !== undefined)
          request.addTrailers({ 'x-trailer': 'v' })
        chunks.forEach((chunk, i) => {
          if (ending !== 'reset' || i === 0) request.write(chunk)
        })
        if (ending === 'reset') setImmediate(() => request.destroy())
        else request.end()
      } catch (error) {
        resolve({ answer: `not sent: ${error instanceof Error && 'code' in error ? String(error.code) : 'error'}` })
      }
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

function judged(status: number, retryAfter: string | undefined): Heard {
  const answer = `HTTP ${status}`
  if (status === 503 && retryAfter === undefined) return { answer, fault: '503 without Retry-After' }
  if (status >= 500 && status !== 503) return { answer, fault: answer }
  return { answer, accepted: status === 200 }
}

/** Sends bytes as they are and waits until the other side ends the connection, or for a moment. */
export function sendRaw(port: number, bytes: Buffer, http1: boolean): Promise<Heard> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('data', data => (text += text.length < 10_000 ? data.toString('latin1') : ''))
    socket.on('error', () => {})
    const timer = setTimeout(() => socket.destroy(), 200)
    socket.on('close', () => {
      clearTimeout(timer)
      const bad = http1 ? /HTTP\/1\.[01] (5\d\d)/.exec(text)?.[1] : undefined
      const fault = bad === undefined || bad === '503' ? {} : { fault: `HTTP ${bad} to raw bytes` }
      resolve({ answer: `raw ${http1 ? 'HTTP/1.1' : 'HTTP/2'}`, ...fault })
    })
    socket.write(bytes)
  })
}
