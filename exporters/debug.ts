import fs, { createWriteStream, type WriteStream } from 'node:fs'
import * as z from 'zod'
import type { Batch } from '../core/batch.ts'
import type { Clock } from '../core/clock.ts'
import { defineExporter, type Exporter, type ExporterContext } from '../core/component.ts'
import { int, texts } from '../core/fields.ts'
import type { Logger } from '../core/logger.ts'
import { appendFlags } from '../core/own-file.ts'
import { sending } from '../core/sending.ts'
import { allSignals, signals } from '../proto/signals.ts'
import { detailedText, normalText } from '../proto/text.ts'

const config = z.strictObject({
  verbosity: z
    .enum(['basic', 'normal', 'detailed'])
    .default('basic')
    .describe('basic: one line per batch; normal: about one line per item; detailed: everything.'),
  sampling_initial: int(0).default(2).describe('How many batches are shown first in each second.'),
  sampling_thereafter: int(0)
    .default(1)
    .describe('After those, every how many-th batch is shown; 1 shows all, 0 shows no more in that second.'),
  use_internal_logger: z
    .boolean()
    .default(true)
    .describe("Write to Kymo's own log; when off, plain text goes to `output_paths`."),
  output_paths: texts()
    .prefault(['stdout'])
    .describe('Where to write without the log: `stdout`, `stderr` or files, which are appended to.'),
  ...sending({ queue: false }),
})

type Config = z.output<typeof config>

/** The `debug` exporter. */
export const debug = defineExporter<Config>({
  type: 'debug',
  stability: 'beta',
  runs: 'each',
  summary: 'Shows what arrives, for people who look for a fault.',
  signals: allSignals,
  ordering: 'none',
  local: true,
  config,
  examples: [
    { title: 'One line per batch', config: {} },
    { title: 'Everything, of every hundredth batch', config: { verbosity: 'detailed', sampling_thereafter: 100 } },
  ],

  touches({ verbosity }) {
    return verbosity === 'basic'
      ? []
      : [{ depth: 'item', does: 'reads', key: 'verbosity', what: 'everything it shows' }]
  },

  create(config, context) {
    return new DebugExporter(config, context)
  },
})

class DebugExporter implements Exporter {
  readonly #config: Config
  readonly #clock: Clock
  readonly #log: Logger
  readonly #sampler: Sampler
  #outputs: Output[] = []

  constructor(config: Config, context: ExporterContext) {
    this.#config = config
    this.#clock = context.clock
    this.#log = context.log
    this.#sampler = new Sampler(config.sampling_initial, config.sampling_thereafter)
  }

  start(): void {
    if (!this.#config.use_internal_logger) this.#outputs = this.#config.output_paths.map(path => open(path, this.#log))
  }

  async stop(): Promise<void> {
    const outputs = this.#outputs
    this.#outputs = []
    await Promise.all(outputs.map(output => output.close()))
  }

  send(batch: Batch): Promise<undefined> {
    if (this.#sampler.shows(this.#clock.now())) this.#show(batch)
    return Promise.resolve(undefined)
  }

  #show(batch: Batch): void {
    const { signal, items, groups } = batch
    const { noun } = signals[signal]
    const { verbosity, use_internal_logger } = this.#config
    const text = verbosity === 'basic' ? '' : (verbosity === 'normal' ? normalText : detailedText)(signal, groups)
    if (use_internal_logger) {
      this.#log.info({ signal, resources: groups.length, [noun]: items }, text === '' ? signal : `${signal}\n${text}`)
      return
    }
    const line = `${signal}: ${groups.length} resources, ${items} ${noun}\n`
    for (const output of this.#outputs) output.write(text === '' ? line : `${line}${text}\n`)
  }
}

/** Shows the first few of each second, then every so-many-th, as zap's sampler does. */
class Sampler {
  readonly #initial: number
  readonly #thereafter: number
  #second = -1
  #count = 0

  constructor(initial: number, thereafter: number) {
    this.#initial = initial
    this.#thereafter = thereafter
  }

  shows(now: number): boolean {
    const second = Math.floor(now / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#count = 0
    }
    const beyond = ++this.#count - this.#initial
    return beyond <= 0 || (this.#thereafter > 0 && beyond % this.#thereafter === 0)
  }
}

interface Output {
  write(text: string): void
  close(): Promise<void>
}

/** What is shown is data: it is not written through somebody's link. */
const openOwn = (
  path: string,
  _flags: unknown,
  mode: number,
  done: (error: Error | null, file: number) => void,
): void => fs.open(path, appendFlags(path), mode, done)

function open(path: string, log: Logger): Output {
  if (path === 'stdout' || path === 'stderr') {
    const stream = process[path]
    return { write: text => void stream.write(text), close: () => Promise.resolve() }
  }
  const stream: WriteStream = createWriteStream(path, { flags: 'a', mode: 0o600, fs: { ...fs, open: openOwn } })
  stream.on('error', error => log.error({ path, error: error.message }, 'cannot write to one of `output_paths`'))
  return {
    write: text => void stream.write(text),
    close: () => new Promise(resolve => stream.end(() => resolve())),
  }
}
