/** An incident as it is played: a Kymo that runs, senders who know what they heard, sinks that know what they got, and a person. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { gunzipSync } from 'node:zlib'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Signal } from '../../proto/signals.ts'
import { statusSchema } from '../../service/status-schema.ts'
import { type Ran, kymo } from '../support/command.ts'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'
import { encode, itemsOf, countItems } from '../support/otlp-proto.ts'
import { httpSend } from '../support/otlp-send.ts'
import { until } from '../support/until.ts'

/** A way through Kymo of its own: a receiver, maybe processors, an exporter. */
export interface Lane {
  readonly signal?: Signal
  /** YAML of the exporter; its type, then its keys. */
  readonly exporter: readonly [type: string, config: object]
  readonly processors?: Readonly<Record<string, object>>
}

/** What a sender heard, in items: 200, and of what it may send again, and of what it may not. */
export interface Heard {
  taken: number
  refused: number
  rejected: number
  requests: number
}

/** A destination of the test's own: HTTP, told what to say, and knows what it took and how often it was asked. */
export interface Sink {
  readonly url: string
  readonly port: number
  taken: number
  requests: number
  /** Status and body of the answer; 200 takes it, undefined says nothing at all. */
  says: (() => { status: number; headers?: Record<string, string>; body?: string }) | undefined
  close(): Promise<void>
}

/** What is to be closed after a file. */
const open: (() => unknown)[] = []

/** Closes all that was opened. */
export async function closeAll(): Promise<void> {
  for (const close of open.splice(0).toReversed()) await close()
}

/** A folder that goes with the test. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'kymo-incident-'))
  open.push(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Starts a sink; with `tls` it speaks nothing else. */
export async function sink(more: { port?: number; tls?: { key: string; cert: string } } = {}): Promise<Sink> {
  const sockets = { requests: 0, taken: 0 }
  let says: Sink['says'] = () => ({ status: 200 })
  const answer: Parameters<typeof createServer>[1] = (request, response) => {
    const chunks: Buffer[] = []
    request.on('error', () => {})
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      sockets.requests++
      const said = says?.()
      if (said === undefined) return
      const signal = (['traces', 'logs', 'metrics'] as const).find(one => request.url === `/v1/${one}`)
      const sent = Buffer.concat(chunks)
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent
      if (said.status === 200 && signal !== undefined) sockets.taken += countItems(signal, itemsOf(signal, body))
      response.writeHead(said.status, said.headers).end(said.body)
    })
  }
  const server: Server = more.tls === undefined ? createServer(answer) : createTlsServer(more.tls, answer)
  server.on('tlsClientError', () => {})
  await new Promise<void>(resolve => server.listen(more.port ?? 0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = (): Promise<void> => {
    server.closeAllConnections()
    return new Promise(resolve => void server.close(() => resolve()))
  }
  open.push(close)
  return {
    port,
    url: `${more.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    close,
    get taken() {
      return sockets.taken
    },
    get requests() {
      return sockets.requests
    },
    get says() {
      return says
    },
    set says(said) {
      says = said
    },
  }
}

/** One request of so many log records, or data points, each with `filler` bytes of text. */
export function request(signal: 'logs' | 'metrics', items: number, more: { namespace?: string; filler?: number } = {}) {
  const { namespace = 'shop', filler = 0 } = more
  const attributes = [
    { key: 'service.name', value: { string_value: 'checkout' } },
    { key: 'k8s.namespace.name', value: { string_value: namespace } },
  ]
  const body = { string_value: `it happened${'x'.repeat(filler)}` }
  const record = encode(
    signal === 'logs' ? 'LogRecord' : 'Metric',
    signal === 'logs' ? { body } : { name: 'a', gauge: { data_points: [{ as_int: '1', time_unix_nano: '1' }] } },
  )
  const all = Array.from({ length: items }, () => field(2, record))
  const scope = field(2, Buffer.concat(all))
  return field(1, Buffer.concat([field(1, encode('Resource', { attributes })), scope]))
}

/** Bytes that are no request. */
export const garbage = Buffer.from([0x0a, 0xff, 0x01])

function field(number: number, content: Uint8Array): Buffer {
  const head = [(number << 3) | 2]
  for (let n = content.length; ; n >>>= 7) {
    head.push(n > 127 ? (n & 127) | 128 : n)
    if (n < 128) break
  }
  return Buffer.concat([Buffer.from(head), content])
}

/** A Kymo with these lanes. */
export class Site {
  readonly process: KymoProcess
  readonly #ports: Readonly<Record<string, number>>
  readonly #file: string
  readonly #configOf: (lanes: Readonly<Record<string, Lane>>) => string
  readonly heard: Record<string, Heard> = {}
  admin = ''

  private constructor(
    process: KymoProcess,
    file: string,
    ports: Record<string, number>,
    configOf: (lanes: Readonly<Record<string, Lane>>) => string,
  ) {
    this.process = process
    this.#file = file
    this.#ports = ports
    this.#configOf = configOf
    for (const lane of Object.keys(ports)) this.heard[lane] = { taken: 0, refused: 0, rejected: 0, requests: 0 }
  }

  static async start(
    lanes: Readonly<Record<string, Lane>>,
    more: { extensions?: object; args?: readonly string[]; everywhere?: Readonly<Record<string, object>> } = {},
  ): Promise<Site> {
    const { extensions = {}, args = [], everywhere = {} } = more
    const ports: Record<string, number> = {}
    for (const lane of Object.keys(lanes)) ports[lane] = await freePort()
    const configOf = (of: Readonly<Record<string, Lane>>): string => configText(of, ports, extensions, everywhere)
    const file = join(folder(), 'kymo.yaml')
    writeFileSync(file, configOf(lanes))
    const process = spawnKymo(['run', '--config', file, ...args])
    open.push(async () => {
      process.child.kill('SIGKILL')
      await process.ended
    })
    const site = new Site(process, file, ports, configOf)
    await process.until('"admin":"')
    site.admin = /"admin":"([^"]+)"/.exec(process.log())?.[1] ?? ''
    return site
  }

  /** Sends, and keeps what was heard of it. Undefined items: it is no request. */
  async send(lane: string, body: Buffer, items: number, signal: Signal = 'logs'): Promise<number> {
    const { status } = await httpSend(`127.0.0.1:${this.#ports[lane]}`, signal, body)
    const heard = this.of(lane)
    heard.requests++
    if (status === 200) heard.taken += items
    else if (status === 429 || status === 503) heard.refused += items
    else heard.rejected += items
    return status
  }

  /** What the sender of a lane heard. */
  of(lane: string): Heard {
    const heard = this.heard[lane]
    if (heard === undefined) throw new Error(`there is no lane ${lane}`)
    return heard
  }

  /** Another configuration, and SIGHUP. */
  reload(lanes: Readonly<Record<string, Lane>> | string): void {
    writeFileSync(this.#file, typeof lanes === 'string' ? lanes : this.#configOf(lanes))
    this.process.child.kill('SIGHUP')
  }

  /** One command of somebody who knows nothing. */
  ask(line: string): Promise<Ran> {
    const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
    return kymo(words[0] === 'kymo' ? words.slice(1) : words, { KYMO_ADMIN: this.admin, COLUMNS: '400' })
  }

  /** The first command of everybody. */
  async status(): Promise<string> {
    return (await this.ask('status')).out
  }

  /** Waits, with other eyes than the person's, until `/status` says all of this. */
  async until(...texts: readonly RegExp[]): Promise<void> {
    await until(async () => {
      const page = await (await fetch(`${this.admin}/status`)).text()
      // Whoever reads it goes by the schema.
      expect(statusSchema.safeParse(JSON.parse(page)).error?.issues).toBeUndefined()
      const missing = texts.find(text => !text.test(page))
      if (missing !== undefined) throw new Error(`no ${String(missing)} in ${page}`)
    })
  }

  /** What the first command says of something, and what the command says that it names there. */
  async next(first: string, about: RegExp): Promise<{ need: string; command: string; second: string }> {
    const lines = first.split('\n')
    const at = lines.findIndex(line => line.startsWith('  ! ') && about.test(line))
    if (at < 0) throw new Error(`nothing about ${String(about)} in:\n${first}`)
    const command = (lines[at + 1] ?? '').trim()
    const { out, err } = await this.ask(command)
    return { need: lines[at] ?? '', command, second: out + err }
  }
}

function configText(
  lanes: Readonly<Record<string, Lane>>,
  ports: Readonly<Record<string, number>>,
  extensions: object,
  everywhere: Readonly<Record<string, object>>,
): string {
  const entries = Object.entries(lanes)
  const of = <T>(make: (name: string, lane: Lane) => readonly [string, T]): Record<string, T> =>
    Object.fromEntries(entries.map(([name, lane]) => make(name, lane)))
  const processors = Object.assign({}, everywhere, ...entries.map(([, one]) => one.processors ?? {})) as object
  return JSON.stringify({
    extensions,
    receivers: of(name => [`otlp/${name}`, { protocols: { http: { endpoint: `127.0.0.1:${ports[name]}` } } }]),
    processors,
    exporters: of((name, { exporter: [type, config] }) => [`${type}/${name}`, config]),
    service: {
      extensions: Object.keys(extensions),
      telemetry: {
        logs: { encoding: 'json' },
        metrics: { readers: [{ pull: { exporter: { prometheus: { host: 'localhost', port: 0 } } } }] },
      },
      pipelines: of((name, { signal = 'logs', exporter: [type], processors: own = {} }) => [
        `${signal}/${name}`,
        {
          receivers: [`otlp/${name}`],
          processors: [...Object.keys(everywhere), ...Object.keys(own)],
          exporters: [`${type}/${name}`],
        },
      ]),
    },
  })
}
