/** A stand-in for Loki's HTTP, and the exporter set against it. */
import { once } from 'node:events'
import http, { type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { loki } from '../../exporters/loki/loki.ts'
import { inflateSnappy } from '../../net/snappy.ts'
import { exporterOf } from './exporting.ts'
import { readPush, type Streams } from './loki-push.ts'
import { encode } from './otlp-proto.ts'

/** A request that came. */
export interface Seen {
  readonly url: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}
/** What is answered; 204 unless it says otherwise. */
export interface Reply {
  readonly status?: number
  readonly headers?: OutgoingHttpHeaders
  readonly body?: Buffer | string
}

/** Answers each request with what `reply` says, until the test ends. */
export async function server(reply: (seen: Seen) => Reply): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = []
  const made = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const one = { url: request.url, headers: request.headers, body: Buffer.concat(chunks) }
      seen.push(one)
      const { status = 204, headers, body } = reply(one)
      response.writeHead(status, headers).end(body)
    })
  })
  made.listen(0, '127.0.0.1')
  await once(made, 'listening')
  onTestFinished(() => {
    made.closeAllConnections()
    made.close()
  })
  return { url: `http://127.0.0.1:${(made.address() as AddressInfo).port}`, seen }
}

/** An exporter of this configuration against such a server. */
export async function against(reply: Reply | ((seen: Seen) => Reply), config: object | ((url: string) => object) = {}) {
  const { url, seen } = await server(typeof reply === 'function' ? reply : () => reply)
  const given = typeof config === 'function' ? config(url) : config
  const { exporter, budget } = exporterOf(loki, { endpoint: url, ...given }, ['logs'])
  onTestFinished(() => exporter.stop?.())
  await exporter.start?.()
  return { exporter, budget, seen, url }
}

type Attributes = Record<string, string>
const attributes = (given: Attributes) =>
  Object.entries(given).map(([key, value]) => ({ key, value: { string_value: value } }))

/** An OTLP request: for each resource its attributes and lines. */
export const logs = (...resources: readonly (readonly [Attributes, readonly string[]])[]): Buffer =>
  encode('logs', {
    resource_logs: resources.map(([resource, lines]) => ({
      resource: { attributes: attributes(resource) },
      scope_logs: [
        { log_records: lines.map(line => ({ time_unix_nano: '1767225600000000001', body: { string_value: line } })) },
      ],
    })),
  })

/** The streams of a push in protobuf. */
export const pushed = ({ body }: Seen): Streams => readPush(inflateSnappy(body, 1 << 24))

/** All lines, stream by stream. */
export const linesOf = (streams: Streams): string[] =>
  Object.values(streams)
    .flat()
    .map(({ line }) => line)
