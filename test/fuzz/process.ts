/** A real Kymo under a load of broken requests, with healthy senders beside them, and a destination that counts. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeOptions } from '../../bench/bundle.ts'
import { answers, type Child, freePorts, memoryOf, start } from '../../bench/processes.ts'
import { allSignals } from '../../proto/signals.ts'
import { judge } from './oracle.ts'
import { processors, ways } from './pipeline.ts'

const root = join(import.meta.dirname, '../..')

/** A destination that takes everything. */
export interface CountingSink {
  readonly port: number
  requests: number
  items: number
  /** Requests that protobufjs could not read: items broken inside go through, as they came. */
  unreadable: number
  /** Requests as JSON, and those that are none. */
  texts: number
  badTexts: number
  /** Names of healthy spans that arrived. */
  readonly healthy: Set<string>
  close(): void
}

/** Starts it. */
export async function countingSink(): Promise<CountingSink> {
  const sink = { requests: 0, items: 0, unreadable: 0, texts: 0, badTexts: 0, healthy: new Set<string>() }
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('error', () => {})
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const signal = allSignals.find(one => request.url?.endsWith(`/v1/${one}`)) ?? 'traces'
      if (request.headers['content-type'] === 'application/json') {
        sink.texts++
        if (!isJson(body)) sink.badTexts++
      } else {
        const verdict = judge(signal, body)
        sink.requests++
        if (verdict.error !== undefined) sink.unreadable++
        else sink.items += Math.max(0, verdict.items)
      }
      if (request.url?.startsWith('/one') && body.includes('healthy-')) {
        for (const [name] of body.toString('latin1').matchAll(/healthy-\w+-\d+/g)) sink.healthy.add(name)
      }
      const json = request.headers['content-type'] === 'application/json'
      response.writeHead(200, { 'content-type': request.headers['content-type'] ?? '' }).end(json ? '{}' : '')
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return Object.assign(sink, { port, close: () => (server.closeAllConnections(), server.close()) })
}

function isJson(body: Buffer): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
    return true
  } catch {
    return false
  }
}

const configOf = (ports: Ports, sink: number): string => `
receivers:
  otlp:
    protocols:
      grpc: {endpoint: '127.0.0.1:${ports.grpc}', max_recv_msg_size_mib: 4}
      http: {endpoint: '127.0.0.1:${ports.http}', max_request_body_size: 4194304, cors: {allowed_origins: ['http://ok']}}
processors: ${processors}
connectors: {count: {}}
exporters:
  otlp_http/one: {endpoint: 'http://127.0.0.1:${sink}/one', compression: none, sending_queue: {queue_size: 100000}}
  otlp_http/three: {endpoint: 'http://127.0.0.1:${sink}/three', compression: none, encoding: json, sending_queue: {queue_size: 100000}}
service:
  telemetry:
    logs: {level: warn}
    metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: ${ports.admin}}}}}]}
  pipelines:
${allSignals
  .flatMap(signal => [
    `    ${signal}: {receivers: [otlp], processors: [${ways(signal)[0]}], exporters: [otlp_http/one]}`,
    `    ${signal}/other: {receivers: [otlp], processors: [${ways(signal)[1]}], exporters: [otlp_http/three${signal === 'metrics' ? '' : ', count'}]}`,
  ])
  .join('\n')}
    metrics/count: {receivers: [count], exporters: [otlp_http/three]}
`

interface Ports {
  readonly grpc: number
  readonly http: number
  readonly admin: number
}

/** A running Kymo. */
export interface Victim extends Ports {
  readonly child: Child
  /** KiB resident, and open files. */
  sample(): { rss: number; files: number }
  /** The document of `/status`. */
  status(): Promise<StatusDocument>
  stop(): Promise<number | null>
}

/** What is looked at of it. */
export interface StatusDocument {
  readonly process: { readonly internal_faults: number }
  readonly memory: { readonly budget: { readonly used_bytes: number; readonly refusals: number } }
  readonly books: readonly {
    readonly kind: string
    readonly id: string
    readonly held: number
    readonly in: number
    readonly lost: object
  }[]
  readonly books_faults: readonly string[]
}

/** Builds a bundle of its own and starts it. */
export async function startVictim(sink: number): Promise<Victim> {
  const folder = mkdtempSync(join(tmpdir(), 'kymo-fuzz-'))
  const bundle = join(folder, 'kymo.mjs')
  const rolldown = join(root, 'node_modules/rolldown/bin/cli.mjs')
  const built = spawnSync(
    process.execPath,
    [rolldown, '-c', 'rolldown.config.ts', '--log-level', 'warn', '--file', bundle],
    {
      cwd: root,
      stdio: ['ignore', 2, 2],
    },
  )
  if (built.status !== 0) throw new Error('the bundle could not be built; `npm run build` shows why')
  const grpc = await freePorts()
  const ports = { grpc, http: grpc + 1, admin: await freePorts() }
  const config = join(folder, 'kymo.yaml')
  writeFileSync(config, configOf(ports, sink))
  const child = start(process.execPath, [...nodeOptions(bundle), bundle, 'run', '--config', config])
  await answers(ports.admin, '/health/ready', child, 'kymo')
  return {
    ...ports,
    child,
    sample: () => ({ rss: memoryOf(child.pid).rss, files: readdirSync(`/proc/${child.pid}/fd`).length }),
    status: async () => (await (await fetch(`http://127.0.0.1:${ports.admin}/status`)).json()) as StatusDocument,
    async stop() {
      const code = await child.stop()
      rmSync(folder, { recursive: true })
      return code
    },
  }
}
