/** Jaeger: takes OTLP, answers with its API v3. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dataFolder, ports, Server } from './server.ts'

/** How a test wants its Jaeger. */
export interface JaegerOptions {
  /** Keeps traces on disk, so that they are there after a restart. */
  readonly durable?: boolean
  /** A name and a password that senders need. */
  readonly user?: { readonly name: string; readonly password: string }
}

/** A value of OTLP/JSON. */
export type Json = Readonly<Record<string, unknown>>

/** A running Jaeger. */
export class Jaeger extends Server {
  readonly #query: number
  readonly #queryGrpc: number
  readonly #metrics: number
  /** `127.0.0.1:port` where it takes OTLP over gRPC. */
  readonly grpc: string
  /** The same over HTTP. */
  readonly http: string

  private constructor(folder: string, [query, queryGrpc, grpc, http, health, metrics]: readonly number[]) {
    super({
      name: 'jaeger',
      folder,
      ready: { port: health, path: '/status' },
      args: [`--config=file:${join(folder, 'jaeger.yml')}`],
    })
    this.#query = query
    this.#queryGrpc = queryGrpc
    this.#metrics = metrics
    this.grpc = `127.0.0.1:${grpc}`
    this.http = `127.0.0.1:${http}`
  }

  static async launch(options: JaegerOptions = {}): Promise<Jaeger> {
    const made = new Jaeger(dataFolder('jaeger'), await ports(6))
    made.configure(options)
    await made.start()
    return made
  }

  /** Writes the configuration that the next start uses. */
  configure({ durable = false, user }: JaegerOptions): void {
    const at = (port: number) => ({ endpoint: `127.0.0.1:${port}` })
    const auth = user === undefined ? {} : { auth: { authenticator: 'basicauth' } }
    const disk = { directories: { keys: join(this.folder, 'keys'), values: join(this.folder, 'values') } }
    const config = {
      service: {
        extensions: ['jaeger_storage', 'jaeger_query', 'healthcheckv2', ...(user === undefined ? [] : ['basicauth'])],
        // Without a batch processor the sender hears success when its traces are stored.
        pipelines: { traces: { receivers: ['otlp'], exporters: ['jaeger_storage_exporter'] } },
        telemetry: {
          metrics: {
            readers: [{ pull: { exporter: { prometheus: { host: '127.0.0.1', port: this.#metrics } } } }],
          },
          logs: { level: 'warn' },
        },
      },
      extensions: {
        jaeger_query: { storage: { traces: 'store' }, http: at(this.#query), grpc: at(this.#queryGrpc) },
        jaeger_storage: {
          backends: {
            store: durable
              ? { badger: { ...disk, ephemeral: false, ttl: { spans: '48h' } } }
              : { memory: { max_traces: 100_000 } },
          },
        },
        healthcheckv2: { use_v2: true, http: at(this.run.ready.port) },
        ...(user === undefined ? {} : { basicauth: { htpasswd: { inline: `${user.name}:${user.password}` } } }),
      },
      receivers: {
        otlp: {
          protocols: { grpc: { endpoint: this.grpc, ...auth }, http: { endpoint: this.http, ...auth } },
        },
      },
      exporters: { jaeger_storage_exporter: { trace_storage: 'store' } },
    }
    writeFileSync(join(this.folder, 'jaeger.yml'), JSON.stringify(config))
  }

  /** The groups of resources of a trace, as OTLP/JSON; none where Jaeger does not know it. */
  trace(id: string): Promise<readonly Json[]> {
    return this.traces(`/api/v3/traces/${id}?raw_traces=true`)
  }

  /** Those of all traces that are asked for. */
  async traces(path: string): Promise<readonly Json[]> {
    const response = await fetch(`http://127.0.0.1:${this.#query}${path}`)
    const text = await response.text()
    if (response.status === 404) return []
    if (!response.ok) throw new Error(`${path}: HTTP ${response.status}: ${text}`)
    // Long traces come in several answers, one after the other.
    return text
      .split('\n')
      .filter(line => line.trim() !== '')
      .flatMap(line => (JSON.parse(line) as { result: { resourceSpans: Json[] } }).result.resourceSpans)
  }

  /** Names of the services. */
  async services(): Promise<readonly string[]> {
    return (await this.get<{ services: string[] }>('/api/v3/services', {}, this.#query)).services
  }
}
