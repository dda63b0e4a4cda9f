/** Prometheus: takes remote write, scrapes what it is told to, answers PromQL. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dataFolder, ports, program, Server } from './server.ts'

/** How a test wants its Prometheus. */
export interface PrometheusOptions {
  /** Scrape configurations. */
  readonly scrape?: readonly object[]
  /** How much later than others a sample of a series may come; by default, as in Prometheus, not at all. */
  readonly outOfOrder?: string
  readonly flags?: readonly string[]
  /** Names with bcrypt hashes of who is let in; everybody without. */
  readonly users?: Readonly<Record<string, string>>
}

/** One series of an answer, with its samples by time in seconds. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly value?: readonly [number, string]
  readonly values?: readonly (readonly [number, string])[]
  readonly histogram?: readonly [number, NativeHistogram]
  readonly histograms?: readonly (readonly [number, NativeHistogram])[]
}

/** A native histogram as the API shows it; a bucket is its kind of bounds, from, to, count. */
export interface NativeHistogram {
  readonly count: string
  readonly sum: string
  readonly buckets?: readonly (readonly [number, string, string, string])[]
}

interface Answer<T> {
  readonly data: T
}

/** A running Prometheus. */
export class Prometheus extends Server {
  static async launch(options: PrometheusOptions = {}): Promise<Prometheus> {
    const folder = dataFolder('prometheus')
    const [port] = await ports(1)
    const made = new Prometheus({
      name: 'prometheus',
      folder,
      ready: { port, path: '/-/ready' },
      args: [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'tsdb')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        `--web.config.file=${join(folder, 'web.yml')}`,
        '--web.enable-remote-write-receiver',
        '--enable-feature=exemplar-storage,metadata-wal-records',
        // New targets are scraped at once, and not up to five seconds later.
        '--scrape.discovery-reload-interval=100ms',
        '--log.level=warn',
        ...(options.flags ?? []),
      ],
    })
    made.configure(options)
    await made.start()
    return made
  }

  /** Writes the files that the next start uses. */
  configure({ scrape = [], outOfOrder = '0s', users }: PrometheusOptions): void {
    const config = {
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      storage: { tsdb: { out_of_order_time_window: outOfOrder } },
      scrape_configs: scrape,
    }
    // JSON is YAML.
    writeFileSync(join(this.folder, 'prometheus.yml'), JSON.stringify(config))
    writeFileSync(join(this.folder, 'web.yml'), JSON.stringify(users === undefined ? {} : { basic_auth_users: users }))
  }

  /** What an expression is now. */
  async query(query: string, time?: number): Promise<readonly Series[]> {
    const at: Record<string, string> = time === undefined ? {} : { time: String(time) }
    const { data } = await this.get<Answer<{ result: Series[] }>>('/api/v1/query', { query, ...at })
    return data.result
  }

  /** Type, help and unit of every metric. */
  async metadata(): Promise<Readonly<Record<string, readonly { type: string; help: string; unit: string }[]>>> {
    return (await this.get<Answer<Record<string, { type: string; help: string; unit: string }[]>>>('/api/v1/metadata'))
      .data
  }

  /** Exemplars of the last hour. */
  async exemplars(query: string): Promise<readonly ExemplarSeries[]> {
    const now = Date.now() / 1000
    const range = { start: String(now - 3600), end: String(now + 60) }
    return (await this.get<Answer<ExemplarSeries[]>>('/api/v1/query_exemplars', { query, ...range })).data
  }
}

/** Exemplars of one series. */
export interface ExemplarSeries {
  readonly seriesLabels: Readonly<Record<string, string>>
  readonly exemplars: readonly { labels: Readonly<Record<string, string>>; value: string; timestamp: number }[]
}

/** Every complaint of `promtool check metrics` about a page, but for units that are the user's choice. */
export function promtool(page: string): string[] {
  const { status, stdout, stderr } = spawnSync(program('promtool'), ['check', 'metrics'], { input: page })
  // 3: nothing is wrong, something could be nicer.
  const lines = `${String(stdout)}${String(stderr)}`.split('\n').filter(line => line !== '')
  const complaints = lines.filter(line => !line.includes('use base unit'))
  return status === 0 || status === 3 ? complaints : [`promtool ended with ${String(status)}`, ...lines]
}
