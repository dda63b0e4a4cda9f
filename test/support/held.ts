/** Senders as fast as they can be, and a Kymo in another process that tells what it holds. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import { connect } from 'node:http2'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Signal, signals } from '../../proto/signals.ts'

/** What a Kymo holds, in bytes; `held` is the sum of its queues. */
export interface Held {
  readonly memory: number
  readonly arrayBuffers: number
  readonly rss: number
  readonly budget: number
  /** Memory that lies ready to be used again. */
  readonly pool: number
  readonly held: number
  readonly faults: string[]
}

export interface Holder {
  readonly child: ChildProcess
  readonly addresses: readonly string[]
  measure(): Promise<Held>
  close(): void
}

/** Starts a Kymo with this configuration. */
export async function holder(yaml: string): Promise<Holder> {
  const child = fork(join(import.meta.dirname, '../memory/fixtures/holder.ts'), [yaml], { execArgv: ['--expose-gc'] })
  const [{ addresses }] = (await heard(child)) as [{ addresses: string[] }]
  return {
    child,
    addresses,
    async measure() {
      const answer = heard(child)
      child.send('measure')
      return (await answer)[0] as Held
    },
    close: () => child.disconnect(),
  }
}

/** The next message; an error when the process ends instead. */
function heard(child: ChildProcess): Promise<unknown[]> {
  const ended = new AbortController()
  child.once('exit', code => ended.abort(new Error(`ended with ${code}`)))
  return once(child, 'message', { signal: ended.signal })
}

/** Hands out the numbers below `count` to `senders` that each wait for their answer. */
async function share(count: number, senders: number, send: (n: number) => Promise<void>): Promise<void> {
  let next = 0
  const one = async () => {
    while (next < count) await send(next++)
  }
  await Promise.all(Array.from({ length: senders }, one))
}

/** Compresses, once where it is the same body again. */
function compressor(gzip: boolean): (body: Buffer) => Buffer {
  let last: Buffer | undefined
  let packed: Buffer | undefined
  return body => {
    if (!gzip) return body
    if (packed === undefined || body !== last) packed = gzipSync((last = body), { level: 1 })
    return packed
  }
}

/** Sends `count` requests over one gRPC connection, made by `body`. Rejects when one is not taken. */
export async function floodGrpc(endpoint: string, count: number, body: (n: number) => Buffer, gzip = false) {
  // The default is less than a few large requests at the same time.
  const session = connect(`http://${endpoint}`, { maxSessionMemory: 1000 })
  session.on('error', () => {})
  await once(session, 'connect')
  const headers = {
    ':method': 'POST',
    ':path': signals['traces' satisfies Signal].grpcPath,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...(gzip ? { 'grpc-encoding': 'gzip' } : {}),
  }
  const pack = compressor(gzip)
  await share(count, 64, n => {
    const content = pack(body(n))
    const frame = Buffer.alloc(5 + content.length)
    frame[0] = gzip ? 1 : 0
    frame.writeUInt32BE(content.length, 1)
    content.copy(frame, 5)
    return new Promise((resolve, reject) => {
      const stream = session.request(headers)
      let status: unknown
      const read = (given: Record<string, unknown>) => (status = given['grpc-status'] ?? status)
      stream.on('response', read).on('trailers', read).on('error', reject)
      stream.on('close', () => (status === '0' ? resolve() : reject(new Error(`grpc-status ${String(status)}`))))
      stream.resume()
      stream.end(frame)
    })
  })
  session.destroy()
}

/** The same over HTTP. */
export async function floodHttp(endpoint: string, count: number, body: (n: number) => Buffer, gzip = false) {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 })
  const headers = { 'content-type': 'application/x-protobuf', ...(gzip ? { 'content-encoding': 'gzip' } : {}) }
  const pack = compressor(gzip)
  await share(count, 32, n => {
    const content = pack(body(n))
    return new Promise((resolve, reject) => {
      const options = { method: 'POST', agent, headers: { ...headers, 'content-length': content.length } }
      const request = httpRequest(`http://${endpoint}/v1/traces`, options, response => {
        response.resume()
        response.on('end', () =>
          response.statusCode === 200 ? resolve() : reject(new Error(`status ${response.statusCode}`)),
        )
      })
      request.on('error', reject)
      request.end(content)
    })
  })
  agent.destroy()
}

/** A traces request of about `size` bytes that no two are alike and that barely compresses. */
export function bodies(size: number, make: (spans: string[]) => Buffer): (n: number) => Buffer {
  let state = 1
  const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0)
  const word = () => random().toString(36).padStart(7, '0')
  const texts = Array.from({ length: size > 100_000 ? 1 : 64 }, () =>
    Array.from({ length: Math.ceil(size / 7) }, word).join(''),
  )
  return n => {
    const name = `${n}.`
    const text = texts[n % texts.length]
    return make([name + text.slice(0, size / 2 - name.length - 20), text.slice(size / 2, size - 40)])
  }
}
