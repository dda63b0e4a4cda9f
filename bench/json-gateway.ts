/** OTLP/JSON over HTTP through the bundle and the Collector: the work of bench/filter-enrich.yaml, on ports of its own. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Http2Server } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { protobufToJson } from '../proto/json-write.ts'
import { readRequest } from '../proto/request.ts'
import { allSignals, signals } from '../proto/signals.ts'
import { bundlePath, configPath, nodeOptions } from './bundle.ts'
import type { Case, Run, RunOptions } from './compare.ts'
import type { Kit } from './kit.ts'
import { type Child, cpuOf, finish, freePorts, listens, memoryOf, start } from './processes.ts'

/** One kind of load: a text, sent again and again. */
interface Load {
  readonly file: string
  readonly path: string
  readonly items: number
}

/** Ports of one run. */
interface Ports {
  readonly grpc: number
  readonly http: number
  readonly admin: number
  readonly sink: number
}

const connections = 8

function makeLoad(kit: Kit, { payload }: Case): Load {
  const signal = allSignals.find(one => payload.startsWith(`${one}-`))
  if (signal === undefined) throw new Error(`no payload is called \`${payload}\`; try traces-gw`)
  const body = readFileSync(join(kit.payloads, `${payload}.bin`))
  const folder = join(tmpdir(), 'kymo-bench-json')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${payload}.json`)
  writeFileSync(file, protobufToJson(signals[signal].request, body))
  const index = JSON.parse(readFileSync(join(kit.payloads, 'index.json'), 'utf8')) as Record<string, { items: number }>
  const items = index[payload]?.items ?? readRequest(signal, body).items
  return { file, path: signals[signal].path, items }
}

/** A destination that counts what arrives. */
class Sink {
  bytes = 0
  requests = 0
  readonly #server: Http2Server

  constructor(port: number) {
    this.#server = createServer({ settings: { initialWindowSize: 16 << 20, maxConcurrentStreams: 1000 } })
    this.#server.on('session', session => session.setLocalWindowSize(64 << 20))
    this.#server.on('stream', stream => {
      stream.on('error', () => undefined)
      stream.on('data', (chunk: Buffer) => (this.bytes += chunk.length))
      stream.on('end', () => {
        this.bytes -= 5
        this.requests++
        if (stream.destroyed) return
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
        stream.end(Buffer.alloc(5))
      })
    })
    this.#server.listen(port, '127.0.0.1')
  }

  close(): void {
    this.#server.close()
  }
}

/** Sends `requests` of them and gives how many failed. */
async function send(load: Load, port: number, requests: number): Promise<number> {
  const args = ['--h1', '-c', String(connections), '-n', String(requests), '-d', load.file]
  args.push('-H', 'content-type: application/json', `http://127.0.0.1:${port}${load.path}`)
  const output = await finish(start('h2load', args), 'h2load', 240)
  return requests - Number(/(\d+) 2xx/.exec(output)?.[1] ?? 0)
}

async function measure(name: string, child: Child, ports: Ports, load: Load, cpuSeconds: number): Promise<Run> {
  const sink = new Sink(ports.sink)
  try {
    await listens(ports.http, child, name)
    await delay(1000)
    const idle = Math.round(memoryOf(child.pid).rss)
    let requests = 100
    let warm = 0
    const end = Date.now() + 6000
    while (Date.now() < end || warm < 1) {
      const before = cpuOf(child.pid)
      await send(load, ports.http, requests)
      await delay(300)
      warm = cpuOf(child.pid) - before
      if (warm < 1) requests *= 2
    }
    requests = Math.max(100, Math.round((requests * cpuSeconds) / warm))
    await delay(1000)
    sink.bytes = sink.requests = 0
    const before = cpuOf(child.pid)
    const failed = await send(load, ports.http, requests)
    await delay(1200)
    const used = cpuOf(child.pid) - before
    return {
      ok: requests - failed,
      failed,
      items_per_cpu_s: Math.round((load.items * requests) / used),
      idle_mib: idle,
      peak_mib: Math.round(memoryOf(child.pid).peak),
      sink: { requests: sink.requests, bytes: sink.bytes, items: 0 },
    }
  } finally {
    await child.stop()
    sink.close()
  }
}

async function freshPorts(): Promise<Ports> {
  const grpc = await freePorts()
  return { grpc, http: grpc + 1, admin: await freePorts(), sink: await freePorts() }
}

/** One run of the Collector. */
export async function runCollectorJson(kit: Kit, which: Case, { cpuSeconds }: RunOptions): Promise<Run> {
  const binary = execFileSync(kit.peer, { encoding: 'utf8', stdio: ['ignore', 'pipe', 2] }).trim()
  const ports = await freshPorts()
  const at = (port: number) => `127.0.0.1:${port}`
  const args = [
    `--config=${kit.peerConfig}`,
    `--set=receivers::otlp::protocols::grpc::endpoint=${at(ports.grpc)}`,
    `--set=receivers::otlp::protocols::http::endpoint=${at(ports.http)}`,
    `--set=exporters::otlp::endpoint=${at(ports.sink)}`,
  ]
  const child = start(binary, args, { GOMAXPROCS: '2', COMPRESSION: 'none' })
  return measure('the Collector', child, ports, makeLoad(kit, which), cpuSeconds)
}

/** One run of the bundle. */
export async function runKymoJson(kit: Kit, which: Case, options: RunOptions): Promise<Run> {
  const { cpuSeconds, bundle = bundlePath } = options
  const ports = await freshPorts()
  const env = {
    GRPC_PORT: String(ports.grpc),
    HTTP_PORT: String(ports.http),
    ADMIN_PORT: String(ports.admin),
    SINK_PORT: String(ports.sink),
  }
  const child = start(process.execPath, [...nodeOptions(bundle), bundle, 'run', '--config', configPath], env)
  return measure('kymo', child, ports, makeLoad(kit, which), cpuSeconds)
}
