/** What a lone sender waits: one request at a time, over gRPC and over HTTP, against the running bundle. */
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { type ClientHttp2Session, connect } from 'node:http2'
import { join } from 'node:path'
import { withKymo } from './bundle.ts'
import { findKit, type Kit } from './kit.ts'
import { endChildrenWithUs } from './processes.ts'

/** Milliseconds a sender waited for its answer. */
export interface Wait {
  readonly protocol: 'gRPC' | 'HTTP'
  readonly payload: string
  /** `accepted`: once queued. `delivered`: once the destination has answered (`wait_for_result: true`). */
  readonly answer: 'accepted' | 'delivered'
  readonly median: number
  readonly p99: number
}

const payloads = ['traces-tiny', 'traces-sdk']
const path = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'

/** Measures `requests` requests of each kind. */
export async function measureLatency(kit: Kit, requests: number, bundle?: string): Promise<Wait[]> {
  const waits: Wait[] = []
  for (const answer of ['accepted', 'delivered'] as const) {
    const args = answer === 'accepted' ? [] : ['--set', 'exporters.otlp_grpc.sending_queue.wait_for_result=true']
    await withKymo({ args, ...(bundle === undefined ? {} : { bundle }) }, async ({ grpc, http }) => {
      const session = connect(`http://127.0.0.1:${grpc}`)
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      for (const payload of payloads) {
        const frame = readFileSync(join(kit.payloads, `${payload}.grpc`))
        const body = readFileSync(join(kit.payloads, `${payload}.bin`))
        const overGrpc = await oneByOne(requests, () => callGrpc(session, frame))
        const overHttp = await oneByOne(requests, () => callHttp(agent, http, body))
        waits.push(
          { protocol: 'gRPC', payload, answer, ...overGrpc },
          { protocol: 'HTTP', payload, answer, ...overHttp },
        )
      }
      session.close()
      agent.destroy()
    })
  }
  return waits
}

/** The first third is for warming up, and left out. */
async function oneByOne(requests: number, call: () => Promise<void>): Promise<{ median: number; p99: number }> {
  const times: number[] = []
  const warm = Math.ceil(requests / 2)
  for (let i = 0; i < warm + requests; i++) {
    const from = performance.now()
    await call()
    if (i >= warm) times.push(performance.now() - from)
  }
  times.sort((a, b) => a - b)
  return { median: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] }
}

function callGrpc(session: ClientHttp2Session, frame: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    let status: unknown
    stream.on('response', headers => (status = headers['grpc-status']))
    stream.on('trailers', headers => (status = headers['grpc-status']))
    stream.on('error', reject)
    stream.on('end', () => (status === '0' ? resolve() : reject(new Error(`grpc-status ${String(status)}`))))
    stream.resume()
    stream.end(frame)
  })
}

function callHttp(agent: Agent, port: number, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/x-protobuf', 'content-length': body.length }
    const sent = request({ agent, host: '127.0.0.1', port, path: '/v1/traces', method: 'POST', headers }, response => {
      response.on('end', () => {
        if (response.statusCode === 200) resolve()
        else reject(new Error(`HTTP status ${response.statusCode}`))
      })
      response.resume()
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

if (import.meta.main) {
  endChildrenWithUs()
  for (const { protocol, payload, answer, median, p99 } of await measureLatency(findKit(), 600)) {
    console.log(`${protocol} ${payload} ${answer}: median ${median.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`)
  }
}
