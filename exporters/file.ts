import * as z from 'zod'
import type { Batch } from '../core/batch.ts'
import { type Budget, budgetKey } from '../core/budget.ts'
import type { Checkable } from '../core/check.ts'
import { type Attempt, defineExporter, type Exporter, type ExporterContext, type Sent } from '../core/component.ts'
import { DeliveryError, messageOf } from '../core/errors.ts'
import { partsOf } from '../core/parts.ts'
import { duration, int } from '../core/fields.ts'
import { sending } from '../core/sending.ts'
import { allSignals } from '../proto/signals.ts'
import type { Group } from '../proto/group.ts'
import { resourceAttribute } from '../proto/views.ts'
import { fileChecks } from './check-place.ts'
import { Begun, GroupedPath, isOfName, longestSegment, mostFolders } from './file-path.ts'
import { ended, type FileSettings, FileWriter, lengthOf } from './file-writer.ts'
import { compressCharged, jsonBody, protobufBody } from './otlp-body.ts'

const mebibyte = 1024 * 1024

const rotation = z.strictObject({
  max_megabytes: int(0)
    .default(100)
    .describe('Size in MiB from which on a new file is begun; 0 is 100, as in the Collector.'),
  max_days: int(0).default(0).describe('Days for which old files are kept; 0 keeps files of any age.'),
  max_backups: int(0).default(100).describe('How many old files are kept; 0 keeps any number.'),
  localtime: z.boolean().default(false).describe('Times in the names of old files are local, not UTC.'),
})

const config = z
  .strictObject({
    path: z
      .string({ error: '`path` is missing; name the file to write to' })
      .min(1, { error: '`path` must not be empty; name the file to write to' })
      .describe('The file to write to; with `group_by`, with one `*` in it.'),
    format: z
      .enum(['json', 'proto'])
      .default('json')
      .describe(
        'json: OTLP/JSON, one request a line; proto: requests in protobuf, each after its length in four bytes.',
      ),
    encoding: z
      .null({ error: 'this build has no encoding extension; remove `encoding` and set `format`' })
      .optional()
      .describe('Id of an encoding extension. Not in this build.'),
    append: z
      .boolean()
      .default(false)
      .describe('Go on with a file that is there, instead of emptying it at the start.'),
    compression: z
      .enum(['', 'none', 'zstd'])
      .default('none')
      .describe('zstd compresses each request by itself and writes it after its length in four bytes, JSON too.'),
    compression_params: z
      .strictObject({
        level: int().default(0).describe('Level of zstd, from 1 to 22; 0 is what suits telemetry best.'),
      })
      .prefault({})
      .describe('How hard to compress.'),
    rotation: rotation
      .nullish()
      .transform(given => (given === null ? rotation.parse({}) : given))
      .describe('Begin a new file when one is full; without it there is one file. `{}` has the defaults.'),
    flush_interval: duration()
      .prefault('1s')
      .transform(interval => interval || 1000)
      .describe('How often what was written is forced to the disk. The system has it before senders are answered.'),
    create_directory: z.boolean().default(false).describe('Make the folder of the file where it is missing.'),
    directory_permissions: z
      .string()
      .regex(/^0?[0-7]{3}$/, { error: 'expected permissions in octal, such as `"0755"`' })
      .optional()
      .describe('Permissions of folders that are made, in octal; "0700" when not given. (In the Collector "0755".)'),
    file_permissions: z
      .string()
      .regex(/^0?[0-7]{3}$/, { error: 'expected permissions in octal, such as `"0644"`' })
      .default('0600')
      .describe('Permissions of files that are made, in octal. (In the Collector "0644".)'),
    group_by: z
      .strictObject({
        enabled: z.boolean().default(false).describe('Write to a file of its own for each value of the attribute.'),
        resource_attribute: z
          .string()
          .default('fileexporter.path_segment')
          .describe('Resource attribute whose text takes the place of the `*` in `path`.'),
        max_open_files: int(1).default(100).describe('How many files are kept open.'),
        max_files: int(1)
          .default(10_000)
          .describe('How many files are begun until the exporter stops; what asks for more is rejected.'),
      })
      .prefault({})
      .describe('Several files by a resource attribute; folders are made. Resources without it are rejected.'),
    ...sending({ queue: false }),
  })
  .superRefine((c, context) => {
    const wrong = (message: string, ...path: string[]) => context.addIssue({ code: 'custom', message, path })
    if (c.append && c.compression === 'zstd') wrong('`append` and `compression` cannot be used together', 'append')
    if (c.append && c.rotation !== undefined) {
      wrong('`append` and `rotation` cannot be used together; a file that rotates is always gone on with', 'append')
    }
    const { level } = c.compression_params
    if (level !== 0 && (level < 1 || level > 22 || c.compression !== 'zstd')) {
      wrong('only `zstd` has levels, from 1 to 22', 'compression_params', 'level')
    }
    if (c.directory_permissions !== undefined && !c.create_directory) {
      wrong('`directory_permissions` needs `create_directory: true`', 'directory_permissions')
    }
    if (!c.group_by.enabled) return
    if (c.path.split('*').length !== 2) wrong('with `group_by`, `path` must have exactly one `*`', 'path')
    else if (c.path.startsWith('*')) wrong('with `group_by`, `path` must not begin with `*`', 'path')
    if (c.group_by.resource_attribute === '') {
      wrong('`resource_attribute` must not be empty', 'group_by', 'resource_attribute')
    }
  })
type Config = z.output<typeof config>

/** Requests in files. */
export const file = defineExporter<Config>({
  type: 'file',
  stability: 'beta',
  runs: 'one',
  summary: 'Writes requests to files, as JSON or protobuf, in the form of the Collector.',
  signals: allSignals,
  ordering: 'none',
  local: true,
  config,
  examples: [
    { title: 'One request a line', config: { path: './telemetry.json' } },
    {
      title: 'Compressed protobuf in files of 10 MiB, of which three old ones are kept',
      config: {
        path: '/var/lib/kymo/telemetry.bin',
        format: 'proto',
        compression: 'zstd',
        rotation: { max_megabytes: 10, max_backups: 3 },
      },
    },
    {
      title: 'A file for each namespace',
      config: {
        path: '/var/lib/kymo/*.json',
        append: true,
        group_by: { enabled: true, resource_attribute: 'k8s.namespace.name' },
      },
    },
  ],
  touches({ format, group_by: { enabled, resource_attribute: attribute } }) {
    return [
      ...(format === 'json'
        ? [{ depth: 'item', does: 'reads', key: 'format', what: 'everything, to write it as JSON' } as const]
        : []),
      ...(enabled
        ? [{ depth: 'resource', does: 'reads', key: 'group_by.resource_attribute', what: attribute } as const]
        : []),
    ]
  },
  create(config, context) {
    return new FileExporter(config, context)
  },
})

type Request = Pick<Batch, 'signal' | 'groups'>

class FileExporter implements Exporter {
  readonly #config: Config
  readonly #context: ExporterContext
  readonly #budget: Budget | undefined
  readonly #settings: FileSettings
  readonly #grouped: GroupedPath | undefined
  readonly #key: Buffer
  /** Each request stands after its length, not on a line. */
  readonly #framed: boolean
  /** Open files by path, the one used last at the end. */
  readonly #writers = new Map<string, FileWriter>()
  /** Files that were opened before: what is in them is ours. */
  #begun = new Set<string>()
  /** Files that batches on their way are about to begin. */
  readonly #fresh = new Set<string>()
  /** Files that the exporter before this one has begun. */
  #before: ReadonlySet<string> = this.#begun
  readonly #closing = new Set<Promise<void>>()

  constructor(config: Config, context: ExporterContext) {
    const { group_by: group, rotation, create_directory: create, directory_permissions: permissions } = config
    this.#config = config
    this.#context = context
    this.#budget = context.host.find(budgetKey)
    this.#grouped = group.enabled ? new GroupedPath(config.path) : undefined
    this.#framed = config.format === 'proto' || config.compression === 'zstd'
    this.#key = Buffer.from(group.resource_attribute)
    this.#settings = {
      clock: context.clock,
      folders: create || group.enabled ? parseInt(permissions ?? '0700', 8) : undefined,
      files: parseInt(config.file_permissions, 8),
      base: this.#grouped?.base,
      rotation: rotation && {
        maxBytes: (rotation.max_megabytes || 100) * mebibyte,
        maxDays: rotation.max_days,
        maxBackups: rotation.max_backups,
        localTime: rotation.localtime,
      },
      flushInterval: config.flush_interval,
      onTrouble: (what, error) => context.log.error({ error: messageOf(error) }, `${what} failed`),
    }
  }

  /** Files that are begun: a new file is empty at its start, and these are not new. */
  leave(): Begun {
    return new Begun(this.#form, this.#begun)
  }

  adopt(state: unknown): boolean {
    if (!(state instanceof Begun) || state.form !== this.#form) return false
    this.#before = state.paths
    for (const path of state.paths) this.#begin(path)
    return true
  }

  /** What decides which files there are and how they are written. */
  get #form(): string {
    const { path, format, compression, group_by: group } = this.#config
    return JSON.stringify([path, format, compression === 'zstd', group.enabled])
  }

  /** Not before: a new file is emptied, and an instance before this one may write to it until now. */
  run(): void {
    if (this.#grouped !== undefined) return
    const { path } = this.#config
    void this.#writer(path)
      .prepare()
      .catch((error: unknown) => {
        // It may be mended while we run; until then whatever comes is tried again.
        const message = `cannot write to ${path}: ${messageOf(error)}`
        this.#context.log.warn({ path, error: messageOf(error) }, 'the file cannot be opened; it is tried again')
        this.#context.status.set('RecoverableError', message)
      })
  }

  async stop(): Promise<void> {
    const writers = [...this.#writers.values()]
    this.#writers.clear()
    const begun = this.#begun
    // Whoever comes next goes by the set as it is.
    this.#begun = new Set()
    for (const path of begun) this.#budget?.release(this.#costOf(path))
    await Promise.all([...this.#closing, ...writers.map(writer => writer.close())])
  }

  check(): readonly Checkable[] {
    return fileChecks(this.#config.path, this.#settings.folders !== undefined, this.#context.signals)
  }

  async send(batch: Batch, attempt: Attempt): Promise<Sent | undefined> {
    if (this.#grouped === undefined) return ended(this.#append(this.#config.path, batch), attempt)
    return ended(this.#sendGrouped(this.#grouped, batch, attempt), attempt)
  }

  /** What is in its file is done: where another one fails, only the rest is written again. */
  async #sendGrouped(paths: GroupedPath, batch: Batch, attempt: Attempt): Promise<Sent | undefined> {
    const problems = new Set<string>()
    const places = new Map<Group, string | typeof nowhere>()
    for (const [i, group] of batch.groups.entries()) {
      if (group.items > 0) {
        const path = this.#pathOf(group, paths)
        if (typeof path !== 'string') problems.add(path.problem)
        places.set(group, typeof path === 'string' ? path : nowhere)
      }
      if (i % groupsAtOnce === groupsAtOnce - 1) await new Promise<void>(resolve => this.#context.clock.soon(resolve))
    }
    const parts = partsOf(batch, group => places.get(group) ?? nowhere)
    const rejected = parts.get(nowhere)
    const isAlone = parts.size === 1
    parts.delete(nowhere)
    let failure: { readonly reason: unknown } | undefined
    const all = [...parts]
    // What is begun once it is cancelled would only count as perhaps written.
    for (let at = 0; at < all.length && !attempt.isCancelled; at += openAtOnce) {
      const done = new Set<unknown>()
      const results = await Promise.allSettled(
        all.slice(at, at + openAtOnce).map(async ([path, part]) => {
          await this.#append(String(path), part)
          done.add(path)
        }),
      )
      // All at once: each by itself would take as long as all that is left.
      const part = partsOf(batch, group => done.has(places.get(group))).get(true)
      if (part !== undefined && !isAlone) attempt.settle(part)
      failure ??= results.find(result => result.status === 'rejected')
    }
    for (const [path] of all) this.#fresh.delete(String(path))
    if (failure !== undefined) throw failure.reason
    return rejected && { rejected: rejected.items, message: [...problems].join('; ') }
  }

  /** The file of a group, or why it gets none. */
  #pathOf(group: Group, paths: GroupedPath): string | { problem: string } {
    const { resource_attribute: attribute, max_files: most } = this.#config.group_by
    const segment = resourceAttribute(group, this.#key)
    if (typeof segment !== 'string') return { problem: `no text in resource attribute ${attribute}` }
    const path = paths.of(segment)
    if (path === undefined) {
      const limits = `${longestSegment} characters or ${mostFolders} folders`
      return { problem: `more than ${limits} in resource attribute ${attribute}` }
    }
    if (this.#begun.has(path) || this.#fresh.has(path)) return path
    if (this.#begun.size + this.#fresh.size >= most) return { problem: `\`group_by.max_files\` (${most}) were begun` }
    this.#fresh.add(path)
    return path
  }

  /** Writes a request to a file. Its place in the file is that of this call, however long it takes to compress. */
  async #append(path: string, request: Request): Promise<undefined> {
    const made = this.#body(request)
    let body: Buffer | undefined
    const ready = (bytes: Buffer): Buffer[] => {
      body = bytes
      this.#budget?.charge(bytes.length)
      return this.#framed ? [lengthOf(bytes), bytes] : [bytes, lineEnd]
    }
    try {
      await this.#writer(path).append(made instanceof Promise ? made.then(ready) : ready(made))
    } catch (error) {
      throw this.#failure(path, error)
    } finally {
      // A write that failed has ended, too: nobody reads the bytes any more.
      if (body !== undefined) {
        this.#budget?.release(body.length)
        this.#budget?.pool.give(body)
      }
    }
  }

  #body(request: Request): Buffer | Promise<Buffer> {
    const { format, compression, compression_params: params } = this.#config
    const plain = format === 'json' ? jsonBody(request, this.#budget) : protobufBody(request, this.#budget)
    if (compression !== 'zstd') return plain
    return compressCharged(this.#budget, 'zstd', params.level || undefined, plain).finally(() =>
      this.#budget?.pool.give(plain),
    )
  }

  #writer(path: string): FileWriter {
    let writer = this.#writers.get(path)
    if (writer !== undefined) {
      if (this.#grouped === undefined) return writer
      this.#writers.delete(path)
    } else {
      const { append, rotation } = this.#config
      const isNew = !this.#begun.has(path) && !this.#before.has(path)
      writer = new FileWriter(path, !append && rotation === undefined && isNew, this.#settings)
      this.#begin(path)
    }
    this.#writers.set(path, writer)
    if (this.#writers.size > this.#config.group_by.max_open_files) this.#closeOldest()
    return writer
  }

  #closeOldest(): void {
    for (const [path, writer] of this.#writers) {
      this.#writers.delete(path)
      const closing = writer.close().finally(() => this.#closing.delete(closing))
      this.#closing.add(closing)
      return
    }
  }

  #begin(path: string): void {
    this.#fresh.delete(path)
    if (this.#begun.has(path)) return
    this.#begun.add(path)
    this.#budget?.charge(this.#costOf(path))
  }

  #forget(path: string): void {
    if (this.#begun.delete(path)) this.#budget?.release(this.#costOf(path))
  }

  /** What a path that data has made takes, with its place in a set. */
  #costOf(path: string): number {
    return this.#grouped === undefined ? 0 : 2 * path.length + 64
  }

  #failure(path: string, error: unknown): unknown {
    if (error instanceof DeliveryError) return error
    const message = `cannot write to ${path}: ${messageOf(error)}`
    if (this.#grouped !== undefined && isOfName(error)) {
      // It takes no place of those that are.
      this.#writers.delete(path)
      this.#forget(path)
      return new DeliveryError('DELIVERY_REJECTED', 'rejected', message, { cause: error })
    }
    return new DeliveryError('DELIVERY_UNREACHABLE', 'retry', message, { cause: error })
  }
}

/** Groups of a batch that are looked at in one turn, and files of it that are written to at once. */
const groupsAtOnce = 1024
const openAtOnce = 64
const lineEnd = Buffer.from('\n')
/** Where what has no file goes. */
const nowhere = Symbol('no file')
