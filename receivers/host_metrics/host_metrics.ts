import * as z from 'zod'
import { pause, within } from '../../core/clock.ts'
import { defineReceiver, type Lifecycle, type ReceiverContext } from '../../core/component.ts'
import { messageOf } from '../../core/errors.ts'
import { duration } from '../../core/fields.ts'
import type { Attributes } from '../../proto/metric-write.ts'
import { reading } from '../reading.ts'
import { HostFiles } from './host-files.ts'
import { Readings, type Scraper, type ScrapeTimes, type MetricSwitches, type TakeMetrics } from './scraper.ts'
import { cpu } from './scrapers/cpu.ts'
import { disk } from './scrapers/disk.ts'
import { filesystem } from './scrapers/filesystem.ts'
import { load } from './scrapers/load.ts'
import { memory } from './scrapers/memory.ts'
import { network } from './scrapers/network.ts'
import { paging } from './scrapers/paging.ts'
import { process } from './scrapers/process.ts'
import { processes } from './scrapers/processes.ts'
import { system } from './scrapers/system.ts'

const scrapers: readonly Scraper[] = [cpu, disk, filesystem, load, memory, network, paging, process, processes, system]

/** One that is named without settings takes what it takes by default. */
const scraperKeys = z.preprocess(
  value => {
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, settings]) => [name, settings ?? {}]))
  },
  z.strictObject(Object.fromEntries(scrapers.map(({ name, schema }) => [name, schema.optional()]))),
)

const config = z.strictObject({
  collection_interval: duration({ exclusive: true }).prefault('1m').describe('How often metrics are taken.'),
  initial_delay: duration().prefault('1s').describe('How long to wait before the first time.'),
  timeout: duration().prefault('0s').describe('Most time that one scraper may take; 0: no limit.'),
  root_path: z
    .string()
    .default('')
    .describe('Where the file system of the host is mounted, such as `/hostfs`; without it that of Kymo.'),
  scrapers: scraperKeys
    .refine(named => Object.keys(named).length > 0, {
      error: `name at least one scraper: ${scrapers.map(({ name }) => `\`${name}\``).join(', ')}`,
    })
    .describe('What to take.'),
})
type Config = z.output<typeof config>

export const hostMetrics = defineReceiver<Config>({
  type: 'host_metrics',
  aliases: ['hostmetrics'],
  stability: 'beta',
  runs: 'one',
  summary: 'Takes metrics of a Linux machine: CPUs, memory, disks, file systems, network, processes.',
  signals: ['metrics'],
  origin: 'source',
  config,
  examples: [
    { title: 'What most take', config: { scrapers: { cpu: {}, memory: {}, disk: {}, filesystem: {}, network: {} } } },
    {
      title: 'From a container that has the file system of the host at /hostfs, twice a minute',
      config: {
        collection_interval: '30s',
        root_path: '/hostfs',
        scrapers: {
          load: {},
          memory: { metrics: { 'system.memory.utilization': { enabled: true } } },
          filesystem: { exclude_fs_types: { fs_types: ['^(?:tmpfs|overlay)$'], match_type: 'regexp' } },
        },
      },
    },
  ],
  create(config, context) {
    return new HostMetrics(config, context).lifecycle
  },
})

/** A scraper with its settings. */
interface Running {
  readonly scraper: Scraper
  readonly switches: MetricSwitches
  readonly take: TakeMetrics<string>
}

/** What is told to have failed where a scraper has nothing at all. */
const whole = 'everything'

class HostMetrics {
  readonly #config: Config
  readonly #context: ReceiverContext
  readonly #files: HostFiles
  readonly #running: readonly Running[]
  /** What went wrong the last time, by scraper. */
  readonly #troubles = new Map<string, string>()
  /** Why those have nothing at all that have not, likewise. */
  readonly #without = new Map<string, string>()
  /** When the machine was started, once that could be read. */
  #start: number | undefined

  constructor(config: Config, context: ReceiverContext) {
    this.#config = config
    this.#context = context
    this.#files = new HostFiles(config.root_path)
    this.#running = scrapers.flatMap(scraper => {
      const settings = config.scrapers[scraper.name]
      return settings === undefined ? [] : [{ scraper, switches: settings.metrics, take: scraper.make(settings) }]
    })
  }

  get lifecycle(): Lifecycle {
    return reading(this.#context, abort => this.#session(abort))
  }

  async #session(abort: AbortSignal): Promise<void> {
    const { clock, rooms } = this.#context
    const { collection_interval, initial_delay } = this.#config
    const origin = this.#context.origin({ transport: 'host', peer: undefined })
    this.#context.door('host', {})
    for (
      let due = clock.now() + initial_delay;
      await pause(clock, due - clock.now(), abort);
      due += collection_interval
    ) {
      const body = await this.#scrape()
      if (body.length > 0) {
        const room = await rooms.room(body.length, abort)
        room.take({ signal: 'metrics', body, origin }, { answered: () => undefined })
        room.free()
      }
      // What was missed meanwhile is not made up for: it would be the same again.
      while (due + collection_interval < clock.now()) due += collection_interval
    }
  }

  /** Takes everything once; what fails is told and left out. */
  async #scrape(): Promise<Buffer> {
    this.#start ??= await this.#files.machine().then(
      ({ booted }) => booted,
      () => undefined,
    )
    const times = { start: this.#start, now: this.#context.clock.wall() }
    const groups = await Promise.all(this.#running.map(running => this.#takeOf(running, times)))
    this.#tellStatus()
    return Buffer.concat(groups.flat())
  }

  async #takeOf({ scraper, switches, take }: Running, times: ScrapeTimes): Promise<Buffer[]> {
    const { name, metrics } = scraper
    const readings = new Readings(metrics, switches)
    const groups: Buffer[] = []
    const failures = new Map<string, { readonly message: string; count: number }>()
    const scrape = {
      files: this.#files,
      clock: this.#context.clock,
      times,
      switches,
      readings,
      add(resource: Attributes, found: Readings, of: ScrapeTimes) {
        groups.push(found.encoded(name, resource, of))
      },
      failed(what: string, error: unknown) {
        const known = failures.get(what)
        if (known === undefined) failures.set(what, { message: messageOf(error), count: 1 })
        else known.count++
      },
    }
    try {
      await this.#within(name, take(scrape))
      this.#without.delete(name)
    } catch (error) {
      scrape.failed(whole, error)
      this.#without.set(name, messageOf(error))
    }
    this.#told(name, failures)
    return [readings.encoded(name, {}, times), ...groups]
  }

  #within(name: string, work: Promise<void>): Promise<void> {
    const { timeout } = this.#config
    if (timeout === 0) return work
    return within(this.#context.clock, timeout, work, `${name} took more than ${timeout} ms (\`timeout\`)`)
  }

  /** The log has each trouble once, and that it is over. */
  #told(scraper: string, failures: ReadonlyMap<string, { readonly message: string; readonly count: number }>): void {
    const { log } = this.#context
    const kinds = [...failures.keys()].join(', ')
    if (kinds === (this.#troubles.get(scraper) ?? '')) return
    if (kinds === '') {
      this.#troubles.delete(scraper)
      log.info({ scraper }, 'everything of it is read again')
      return
    }
    this.#troubles.set(scraper, kinds)
    for (const [what, { message, count }] of failures) {
      log.warn({ scraper, what, error: message, times: count }, 'it cannot be read, and is left out')
    }
  }

  #tellStatus(): void {
    const { status } = this.#context
    const [first] = this.#without.values()
    if (first === undefined) return void status.set('OK')
    const names = [...this.#without.keys()].map(name => `\`${name}\``).join(', ')
    const where = this.#files.isElsewhere ? '; is the file system of the host at `root_path`?' : ''
    status.set('RecoverableError', `nothing can be read by ${names}: ${first}${where}`)
  }
}
