import { type FileHandle, glob, stat } from 'node:fs/promises'
import * as z from 'zod'
import { budgetKey } from '../../core/budget.ts'
import { pause } from '../../core/clock.ts'
import { defineReceiver, type Lifecycle, type ReceiverContext } from '../../core/component.ts'
import { DeliveryError, messageOf } from '../../core/errors.ts'
import { duration, int, texts } from '../../core/fields.ts'
import { openToRead } from '../../core/own-file.ts'
import { type Checkpoints, storageKey } from '../../core/storage.ts'
import { allSignals } from '../../proto/signals.ts'
import { Lines } from './lines.ts'
import { Place } from './place.ts'
import { Tail, type TailTerms } from './tail.ts'

const units: Readonly<Record<string, number>> = {
  k: 1000,
  m: 1000 ** 2,
  g: 1000 ** 3,
  ki: 1024,
  mi: 1024 ** 2,
  gi: 1024 ** 3,
}

/** A size as a number of bytes, or a text such as `1MiB`. */
const size = (least: number) =>
  z.union([z.number(), z.string()], { error: 'expected a size such as `1MiB`' }).transform((given, context) => {
    const found = /^(\d+(?:\.\d+)?)\s*([kmg]i?)?b?$/i.exec(String(given).trim())
    const bytes = found === null ? NaN : Math.trunc(Number(found[1]) * (units[found[2]?.toLowerCase() ?? ''] ?? 1))
    if (bytes >= least) return bytes
    const message = found === null ? `\`${given}\` is no size; write one such as \`1MiB\`` : `must be at least ${least}`
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  })

const patterns = (what: string) => texts().describe(what)

const config = z.strictObject({
  include: patterns('Files to read, as patterns: `/var/log/*.json`, `**` for folders in between.').refine(
    list => list.length > 0,
    { error: '`include` must name at least one file' },
  ),
  exclude: patterns('Files not to read, as patterns.').default([]),
  start_at: z
    .enum(['end', 'beginning'])
    .default('end')
    .describe(
      'Where to begin with files that are there at the start; files that come later are read from their beginning.',
    ),
  poll_interval: duration({ exclusive: true }).prefault('200ms').describe('How often to look for what is new.'),
  replay_file: z.boolean().default(false).describe('Read each file again whenever its end was reached.'),
  fingerprint_size: size(16)
    .default(1000)
    .describe('Bytes of the beginning, and before the place reached, by which a file is known again.'),
  max_log_size: size(1)
    .default(64 * 1024 * 1024)
    .describe('Longest line; longer ones are passed over. (The Collector cuts lines of more than 1 MiB to pieces.)'),
  max_concurrent_files: int(1).default(1024).describe('How many files are followed at the same time.'),
  encoding: z.enum(['utf-8', 'utf8']).default('utf-8').describe('JSON is always UTF-8.'),
  storage: z
    .string({ error: 'expected the id of a storage extension, such as `file_storage`' })
    .nullish()
    .describe(
      'Id of a storage extension that keeps how far each file was read, over restarts; without it that is kept in memory.',
    )
    .meta({ reference: storageKey }),
})
type Config = z.output<typeof config>

/** OTLP/JSON from files, one request a line. */
export const otlpJsonFile = defineReceiver<Config>({
  type: 'otlp_json_file',
  aliases: ['otlpjsonfile'],
  stability: 'beta',
  runs: 'one',
  summary: 'Reads OTLP/JSON from files, one request a line, as the `file` exporter writes it.',
  signals: allSignals,
  origin: 'source',
  config,
  examples: [
    {
      title: 'All files of a folder, from their beginning',
      config: { include: ['/var/log/otlp/*.json'], start_at: 'beginning' },
    },
    { title: 'What comes from now on', config: { include: ['./telemetry.json'] } },
  ],
  create(config, context) {
    return new OtlpJsonFile(config, context)
  },
})

/** Files that are read at the same time. */
const readers = 16
/** Places in files that are gone, which may turn up under another name. */
const goneMost = 100
/** How long lines that were begun may take when the receiver stops, in milliseconds. */
const stopDeadline = 5000

class OtlpJsonFile implements Lifecycle {
  readonly #config: Config
  readonly #context: ReceiverContext
  readonly #stopping = new AbortController()
  readonly #lines: Lines
  /** By device and inode. */
  readonly #tails = new Map<string, Tail>()
  /** Places in files that are gone, or were not found again yet, by what they are kept under. */
  readonly #gone = new Map<string, Place>()
  #store: Checkpoints | undefined
  #polling: Promise<void> | undefined
  #trouble = ''
  #isFirst = true

  constructor(config: Config, context: ReceiverContext) {
    this.#config = config
    this.#context = context
    this.#lines = new Lines(context)
  }

  run(): void {
    this.#context.door('file', this.#lines.refusals)
    this.#polling = this.#pollAgainAndAgain()
  }

  async stop(): Promise<void> {
    const { clock, rooms, id } = this.#context
    this.#stopping.abort(new Error(`${id} is stopping`))
    rooms.stop()
    const late = Promise.withResolvers<void>()
    const timer = clock.after(stopDeadline, () => {
      rooms.withdraw(new DeliveryError('DELIVERY_WITHDRAWN', 'retry', `${id} was stopped`))
      late.resolve()
    })
    await this.#polling
    const tails = [...this.#tails.values()]
    this.#tails.clear()
    await Promise.all(tails.map(tail => tail.close()))
    await Promise.all(tails.map(tail => tail.settle(late.promise)))
    timer.cancel()
    this.#store?.close()
  }

  async #pollAgainAndAgain(): Promise<void> {
    do {
      try {
        this.#store ??= await this.#openStore()
        await this.#poll(this.#isFirst)
        this.#isFirst = false
        this.#told('')
      } catch (error) {
        this.#told(messageOf(error))
      }
    } while (await pause(this.#context.clock, this.#config.poll_interval, this.#stopping.signal))
  }

  /** Where places are kept, with those that were; undefined without `storage`. */
  async #openStore(): Promise<Checkpoints | undefined> {
    const { id, extension, log } = this.#context
    const { storage, fingerprint_size } = this.#config
    if (!storage) return undefined
    const store = await extension(storage, storageKey).checkpoints(id)
    for (const key of store.keys) {
      const kept = store.get(key)
      try {
        if (kept !== undefined) this.#gone.set(key, Place.from(kept, fingerprint_size))
      } catch (error) {
        log.warn({ file: key, error: messageOf(error) }, 'how far a file was read is not known any more')
      }
    }
    return store
  }

  /** What all tails share. Beyond an eighth of the budget no room in memory would ever be found for a line. */
  get #terms(): TailTerms {
    const { rooms, clock, log, host } = this.#context
    const { max_log_size, fingerprint_size, replay_file } = this.#config
    return {
      rooms,
      lines: this.#lines,
      clock,
      log,
      stopping: this.#stopping.signal,
      longestLine: Math.min(max_log_size, Math.floor(host.get(budgetKey).limit / 8)),
      fingerprint: fingerprint_size,
      replay: replay_file,
      store: this.#store,
      cut: (id, place) => this.#remember(`${id} cut`, place),
    }
  }

  async #poll(first: boolean): Promise<void> {
    const found = new Set<Tail>()
    const trouble: string[] = []
    const files = await this.#files()
    if (first && files.length === 0) {
      const { include } = this.#config
      this.#context.log.info({ include }, 'no file matches `include` yet')
    }
    for (const { path, size, id } of files) {
      try {
        const tail = this.#tails.get(id) ?? (await this.#begin(path, id, size, first))
        if (tail === undefined) continue
        tail.path = path
        found.add(tail)
        if (tail.trouble !== undefined) trouble.push(tail.trouble)
        if (tail.wants(size) && this.#reading < readers) void tail.read()
      } catch (error) {
        trouble.push(messageOf(error))
      }
      if (this.#stopping.signal.aborted) return
    }
    for (const tail of this.#tails.values()) if (!found.has(tail) && !tail.busy) await this.#end(tail)
    if (trouble.length > 0) throw new Error(trouble.join('; '))
  }

  get #reading(): number {
    let reading = 0
    for (const tail of this.#tails.values()) if (tail.busy) reading++
    return reading
  }

  /** The files that are meant, the oldest first. */
  async #files(): Promise<{ path: string; id: string; size: number }[]> {
    const { include, exclude } = this.#config
    const found = new Map<string, { path: string; id: string; size: number; time: number }>()
    for await (const path of glob(include, { exclude })) {
      const info = await stat(path).catch(() => undefined)
      if (info?.isFile() !== true) continue
      const id = `${info.dev}:${info.ino}`
      // Under several names it is still one file.
      if (!found.has(id)) found.set(id, { path, id, size: info.size, time: info.mtimeMs })
    }
    return [...found.values()].sort((a, b) => a.time - b.time)
  }

  /** Begins to follow a file, unless too many are followed already. */
  async #begin(path: string, id: string, size: number, first: boolean): Promise<Tail | undefined> {
    if (this.#tails.size >= this.#config.max_concurrent_files) {
      throw new Error(`${path} is not read: \`max_concurrent_files\` are followed already`)
    }
    const handle = await openToRead(path)
    try {
      let place = await this.#known(handle, id, size)
      if (place === undefined) {
        place = new Place(this.#config.fingerprint_size)
        if (first && this.#config.start_at === 'end' && !this.#config.replay_file) {
          await place.jump(handle, await endOfLines(handle, size))
        }
      }
      const tail = new Tail(path, id, place, handle, this.#terms)
      this.#tails.set(id, tail)
      return tail
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** Where to go on with a file that was read before, under another name or as what it is a copy of. */
  async #known(handle: FileHandle, id: string, size: number): Promise<Place | undefined> {
    for (const [key, place] of [...this.#gone, ...[...this.#tails].map(([key, tail]) => [key, tail.place] as const)]) {
      if (place.offset === 0 || !(await place.continuesIn(handle, size))) continue
      if (this.#gone.delete(key) && key !== id) this.#store?.delete(key)
      return place.copy()
    }
    return undefined
  }

  /** A file that is gone, or has a name that is not meant: what is left of it is read. */
  async #end(tail: Tail): Promise<void> {
    const reading = tail.read()
    // Not to be found again until then.
    void reading.then(async () => {
      this.#tails.delete(tail.id)
      await tail.close()
      this.#remember(tail.id, tail.place)
    })
  }

  #remember(key: string, place: Place): void {
    if (place.offset === 0) return
    this.#gone.delete(key)
    this.#gone.set(key, place)
    const [oldest] = this.#gone.keys()
    if (oldest === undefined || this.#gone.size <= goneMost) return
    this.#gone.delete(oldest)
    this.#store?.delete(oldest)
  }

  /** Says what keeps files from being read, once, and when that is over. */
  #told(trouble: string): void {
    if (trouble === this.#trouble) return
    const { status, log } = this.#context
    this.#trouble = trouble
    if (trouble === '') {
      status.set('OK')
      log.info({}, 'all files can be read again')
    } else {
      status.set('RecoverableError', trouble)
      log.warn({ error: trouble }, 'not all files can be read')
    }
  }
}

/** Where the last line begins that does not end, so that it is read whole once it does; the end when there is none. */
async function endOfLines(handle: FileHandle, size: number): Promise<number> {
  const length = Math.min(size, 1 << 20)
  const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(length), 0, length, size - length)
  const end = buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1
  return end === 0 && length < size ? size : size - bytesRead + end
}
