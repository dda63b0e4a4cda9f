/** Loki: takes OTLP and pushes, answers LogQL. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dataFolder, ports, Server } from './server.ts'

/** How a test wants its Loki. */
export interface LokiOptions {
  /** Whether each request has to name its tenant. */
  readonly tenants?: boolean
  readonly limits?: object
}

/** A line as it is stored. `labels` are those of the index and the structured metadata, as LogQL shows them. */
export interface LokiLine {
  readonly labels: Readonly<Record<string, string>>
  /** Nanoseconds. */
  readonly time: string
  readonly line: string
}

interface Answer {
  readonly data: { readonly result: readonly Stream[] }
}
interface Stream {
  readonly stream: Readonly<Record<string, string>>
  readonly values: readonly (readonly [string, string])[]
}

/** A running Loki. */
export class Loki extends Server {
  readonly #grpc: number

  private constructor(folder: string, port: number, grpc: number) {
    super({
      name: 'loki',
      folder,
      ready: { port, path: '/ready' },
      args: [
        `-config.file=${join(folder, 'loki.yml')}`,
        '-target=all',
        `-server.http-listen-port=${port}`,
        `-server.grpc-listen-port=${grpc}`,
      ],
    })
    this.#grpc = grpc
  }

  static async launch(options: LokiOptions = {}): Promise<Loki> {
    const [port, grpc] = await ports(2)
    const made = new Loki(dataFolder('loki'), port, grpc)
    made.configure(options)
    await made.start()
    return made
  }

  /** Writes the configuration that the next start uses. */
  configure({ tenants = false, limits = {} }: LokiOptions): void {
    const { folder } = this
    const config = {
      auth_enabled: tenants,
      analytics: { reporting_enabled: false },
      common: {
        instance_addr: '127.0.0.1',
        path_prefix: folder,
        replication_factor: 1,
        ring: { kvstore: { store: 'inmemory' } },
        storage: { filesystem: { chunks_directory: join(folder, 'chunks'), rules_directory: join(folder, 'rules') } },
      },
      server: { http_listen_address: '127.0.0.1', grpc_listen_address: '127.0.0.1', log_level: 'warn' },
      schema_config: {
        configs: [
          {
            from: '2023-01-01',
            store: 'tsdb',
            object_store: 'filesystem',
            schema: 'v13',
            index: { prefix: 'index_', period: '24h' },
          },
        ],
      },
      ingester: { wal: { dir: join(folder, 'wal') }, lifecycler: { min_ready_duration: '0s', final_sleep: '0s' } },
      limits_config: {
        allow_structured_metadata: true,
        discover_log_levels: false,
        max_entries_limit_per_query: 1_000_000,
        ...limits,
      },
      frontend_worker: { frontend_address: `127.0.0.1:${this.#grpc}` },
    }
    writeFileSync(join(folder, 'loki.yml'), JSON.stringify(config))
  }

  /** Every line of a query, from an hour ago to a minute from now. */
  async lines(query: string, tenant?: string): Promise<LokiLine[]> {
    const now = Date.now()
    const range = { start: `${now - 3_600_000}000000`, end: `${now + 60_000}000000`, limit: '1000000' }
    const parameters = new URLSearchParams({ query, direction: 'forward', ...range })
    const headers: Record<string, string> = tenant === undefined ? {} : { 'X-Scope-OrgID': tenant }
    const response = await fetch(`${this.url}/loki/api/v1/query_range?${parameters.toString()}`, { headers })
    const text = await response.text()
    if (!response.ok) throw new Error(`${query}: HTTP ${response.status}: ${text}`)
    return (JSON.parse(text) as Answer).data.result.flatMap(({ stream, values }) =>
      values.map(([time, line]) => ({ labels: stream, time, line })),
    )
  }

  /** The label sets of the index. */
  async series(selector: string): Promise<readonly Readonly<Record<string, string>>[]> {
    const query = { 'match[]': selector, start: `${Date.now() - 3_600_000}000000` }
    return (await this.get<{ data: Record<string, string>[] }>('/loki/api/v1/series', query)).data
  }
}
