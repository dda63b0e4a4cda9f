/** What operators do with queues on disk and dead letters: look at them, replay, export and drop them. */
import { quoted, suggest } from '../config/nearest.ts'
import type { ConfiguredPipeline } from '../core/configured.ts'
import type { DurableQueue, QueueView, Storage, StoredRecord } from '../core/storage.ts'
import { allSignals } from '../proto/signals.ts'
import type { AnyRoute, Flow } from './api.ts'
import { exported, exportFormats, type OpenQueue } from './export-records.ts'
import { Query, QueryError, type RawQuery, wordsOf } from './query.ts'
import {
  deadLetterDocuments,
  isOrphan,
  type NamedStorage,
  queueDocument,
  type QueuesDocument,
  queuesDocument,
} from './queue-pages.ts'
import { chosen, ownerOf, type RecordRange, rangeOf, rangeParameters, RecordReader, tally } from './records.ts'
import { Replay, type ReplayParts, type ReplayTarget } from './replay.ts'
import { DestinationWord } from './replay-word.ts'
import { time } from './status.ts'

/** What the queues of one process are made of. */
export interface QueueParts extends ReplayParts {
  /** Those that have started. */
  storages(): readonly NamedStorage[]
  pipelines(): readonly ConfiguredPipeline[]
}

const mostListed = 1000
/** No date is later, in milliseconds since the epoch. */
const latest = 8.64e15
/** Milliseconds that the answer to a command to replay waits for the end of it. */
const answerAfter = 5000

/** The queues on disk of one process. */
export class Queues {
  readonly #parts: QueueParts
  readonly #readers = new WeakMap<DurableQueue, RecordReader>()
  /** Owners of orphans that are only read, by storage. */
  readonly #lent = new Map<string, Set<string>>()
  #replay: Replay | undefined

  constructor(parts: QueueParts) {
    this.#parts = parts
  }

  /** The pages and commands. */
  get routes(): readonly AnyRoute[] {
    return [
      { path: '/v1/queues', answer: (_, query) => this.list(query) },
      { path: '/v1/queues/export', deed: 'records of a queue were exported', flow: query => this.export(query) },
      { path: '/v1/queues/drop', deed: 'records of a queue were dropped', act: body => this.drop(wordsOf(body)) },
      { path: '/v1/dead-letters', answer: (_, query) => this.listDeadLetters(query) },
      { path: '/v1/dead-letters/replay', deed: 'a replay was started', act: body => this.replay(wordsOf(body)) },
      { path: '/v1/dead-letters/replay/stop', deed: 'a replay was ended', act: () => this.stopReplay() },
      { path: '/v1/dead-letters/replay/state', answer: () => this.#replay?.report ?? { state: 'none' } },
    ]
  }

  /** Every queue, and how many dead letters there are. */
  list(raw: RawQuery = {}): Promise<QueuesDocument> {
    const storages = chosen(this.#parts.storages(), new Query(raw, ['storage']).text('storage'))
    return queuesDocument(
      storages,
      id => this.#lentOf(id),
      id => this.#deadReader(storages.find(one => one.id === id)?.storage),
    )
  }

  /** Queues that nobody sends. */
  orphans(): readonly ReturnType<typeof queueDocument>[] {
    return this.#parts.storages().flatMap(({ id, storage }) =>
      storage
        .list()
        .filter(view => isOrphan(view, this.#lentOf(id)))
        .map(view => queueDocument(id, view, this.#lentOf(id))),
    )
  }

  /** Says in the log which queues nobody sends, and what can be done. */
  reportOrphans(): void {
    const ages = new Map(this.#parts.storages().map(({ id, storage: { maxAge } }) => [id, maxAge]))
    for (const { storage, owner, exporter, records, items, bytes, oldest } of this.orphans()) {
      const todo =
        `configure exporter ${exporter} with \`sending_queue.storage: ${storage}\` again to have it sent, or: ` +
        `kymo replay --queue '${owner}' --exporter ID; kymo queue export --queue '${owner}'; kymo queue drop --queue '${owner}'`
      const until = oldest === null ? Infinity : Date.parse(oldest) + (ages.get(storage) ?? Infinity)
      const ends = until < latest ? { kept_until: time(until) } : {}
      const fields = { storage, queue: owner, records, items, bytes, oldest, ...ends, todo }
      this.#parts.log.warn(
        fields,
        'a queue on disk belongs to no exporter of the configuration; it is not sent, and kept up to `max_age`',
      )
    }
  }

  async listDeadLetters(raw: RawQuery): Promise<object> {
    const query = new Query(raw, ['storage', ...rangeParameters, 'limit'])
    const range = rangeOf(query)
    const limit = query.count('limit', mostListed, 100)
    const readers = this.#graves(query.text('storage'))
    const { journal } = this.#parts
    return deadLetterDocuments(readers, range, limit, owner => {
      const [id = owner, signal] = owner.split(' ')
      return allSignals.some(
        one => one === signal && journal.shows({ kind: 'exporter', id, pipeline: '', signal: one }),
      )
    })
  }

  /** The records of an orphan, or dead letters, as a file. */
  export(raw: RawQuery): Flow {
    const query = new Query(raw, ['storage', 'queue', 'dead_letters', 'format', ...rangeParameters])
    const format = query.word('format', exportFormats, 'format') ?? 'json'
    const range = rangeOf(query)
    if (query.flag('dead_letters')) {
      const { reader } = this.#grave(query.text('storage'))
      return exported(() => ({ reader, close: () => {} }), range, format)
    }
    const orphan = this.#orphan(query)
    return exported(() => this.#borrow(orphan), range, format)
  }

  /** Gives up what an orphan has, or dead letters. */
  async drop(raw: RawQuery): Promise<object> {
    const query = new Query(raw, ['storage', 'queue', 'dead_letters', ...rangeParameters])
    if (query.flag('dead_letters')) return { dropped: await this.#dropDeadLetters(query) }
    const { id, storage, view } = this.#orphan(query)
    const { records, items, bytes } = view.backlog
    storage.drop(view.owner)
    this.#parts.log.warn(
      { storage: id, queue: view.owner, records, items, bytes },
      'a queue on disk was dropped by command',
    )
    return { dropped: { records, items, bytes } }
  }

  async #dropDeadLetters(query: Query): Promise<{ records: number; items: number; bytes: number }> {
    const range = rangeOf(query)
    const { id, reader } = this.#grave(query.text('storage'))
    this.#demandQuiet()
    const dropped = { records: 0, items: 0, bytes: 0 }
    // What comes in meanwhile was not meant.
    for await (const record of reader.records(range, { most: reader.queue.backlog.records })) {
      reader.queue.end(record, record.items, 'handed_over')
      dropped.records++
      dropped.items += record.items
      dropped.bytes += record.bytes
    }
    this.#parts.log.warn({ storage: id, ...dropped }, 'dead letters were dropped by command')
    return dropped
  }

  /** Starts to send records again; answers when that is over, or after a while how far it is. */
  async replay(raw: RawQuery): Promise<object> {
    const query = new Query(raw, ['storage', 'queue', 'pipeline', 'exporter', 'limit', 'patience', ...rangeParameters])
    const range = rangeOf(query)
    const pipeline = this.#pipelineNamed(query.text('pipeline'))
    const exporter = this.#exporterNamed(query.text('exporter'))
    if (pipeline !== undefined && exporter !== undefined) {
      throw new QueryError(
        400,
        'name `pipeline` or `exporter`, not both',
        'an exporter gets the data past all pipelines',
      )
    }
    const limit = query.count('limit', Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    const patience = query.duration('patience')
    this.#demandQuiet()
    const source = query.text('queue') === undefined ? undefined : this.#orphan(query)
    const { id, reader, close } =
      source === undefined ? { ...this.#grave(query.text('storage')), close: () => {} } : this.#borrow(source)
    const targetOf = ({ signal, note }: StoredRecord): ReplayTarget | undefined => {
      if (exporter !== undefined) return { kind: 'exporter', id: exporter }
      if (pipeline !== undefined && pipeline.signal !== signal) return undefined
      const to = pipeline ?? this.#pipelineFor(source?.view.owner ?? note?.owner ?? '', signal)
      return to && { kind: 'pipeline', id: to.id }
    }
    const meant = {
      ...range,
      signal: range.signal ?? pipeline?.signal,
      // What another one put aside, this one has had, unless somebody says otherwise.
      exporter: source === undefined && range.owner === undefined ? exporter : undefined,
    }
    const replay = new Replay(this.#parts, {
      storage: id,
      reader,
      range: meant,
      limit,
      targetOf,
      exportersOf: target => (target.kind === 'exporter' ? [target.id] : this.#exportersIn(target.id)),
      word: new DestinationWord({
        storages: () => this.#parts.storages(),
        deadReader: storage => this.#deadReader(storage),
        isLent: (storage, owner) => this.#lentOf(storage).has(owner),
      }),
      ...(patience === undefined ? {} : { patience }),
    })
    // Before anything is awaited, so that there is only one.
    this.#replay = replay
    try {
      if (exporter !== undefined) await this.#demandSignals(reader, meant, exporter)
      else if (pipeline === undefined) await this.#demandPipelines(reader, meant, source?.view.owner)
    } catch (error) {
      this.#replay = undefined
      close()
      throw error
    }
    const over = replay.run().finally(close)
    let timer: NodeJS.Timeout | undefined
    await Promise.race([over, new Promise(resolve => (timer = setTimeout(resolve, answerAfter)))])
    clearTimeout(timer)
    return replay.report
  }

  /** Ends a replay that runs; what was not taken stays. */
  stopReplay(): object {
    this.#replay?.stop()
    return this.#replay?.report ?? { state: 'none' }
  }

  #demandQuiet(): void {
    if (this.#replay?.state !== 'running') return
    throw new QueryError(409, 'a replay is running; one thing at a time', '`kymo replay --stop` ends it')
  }

  #pipelineNamed(id: string | undefined): ConfiguredPipeline | undefined {
    if (id === undefined) return undefined
    const all = this.#parts.pipelines()
    const found = all.find(one => one.id === id)
    if (found !== undefined) return found
    const ids = all.map(one => one.id)
    throw new QueryError(400, `there is no pipeline \`${id}\` here`, suggest(id, ids, `pipelines: ${quoted(ids)}`))
  }

  #exporterNamed(id: string | undefined): string | undefined {
    if (id === undefined) return undefined
    const all = this.#parts.pipelines()
    // Connectors stand at both ends.
    const ids = [...new Set(all.flatMap(one => one.exporters))].filter(
      end => !all.some(one => one.receivers.includes(end)),
    )
    if (ids.includes(id)) return id
    throw new QueryError(400, `no pipeline here has exporter \`${id}\``, suggest(id, ids, `exporters: ${quoted(ids)}`))
  }

  /** @throws QueryError when `exporter` takes nothing of a signal that is to be sent */
  async #demandSignals(reader: RecordReader, range: RecordRange, exporter: string): Promise<void> {
    const { by } = await tally(reader, range)
    for (const { signal } of by) {
      if (this.#pipelineFor(`${exporter} ${signal}`, signal) !== undefined) continue
      const hint = 'choose with `signal`, or add it to such a pipeline'
      throw new QueryError(400, `exporter \`${exporter}\` is in no pipeline of ${signal}, so it takes none`, hint)
    }
  }

  #exportersIn(pipeline: string): readonly string[] {
    return this.#parts.pipelines().find(one => one.id === pipeline)?.exporters ?? []
  }

  /** The first pipeline of that signal that ends in the exporter of `owner`. */
  #pipelineFor(owner: string, signal: string): ConfiguredPipeline | undefined {
    const [exporter] = ownerOf(owner)
    return this.#parts.pipelines().find(one => one.signal === signal && one.exporters.includes(exporter))
  }

  /** @throws QueryError when it cannot be told where records are to go */
  async #demandPipelines(reader: RecordReader, range: RecordRange, orphan: string | undefined): Promise<void> {
    const { by } = await tally(reader, range)
    for (const { owner, signal } of by) {
      const from = orphan ?? owner
      if (this.#pipelineFor(from, signal) !== undefined) continue
      const ids = this.#parts.pipelines().filter(one => one.signal === signal)
      const message = `no pipeline of ${signal} has exporter \`${ownerOf(from)[0]}\`, so it cannot be told where to send them`
      const others = ids.length === 0 ? `no pipeline takes ${signal}` : `name one: ${quoted(ids.map(one => one.id))}`
      throw new QueryError(400, message, `${others}; or leave them out with \`owner\` or \`signal\``)
    }
  }

  /** The dead letters of one storage. */
  #grave(id: string | undefined): { id: string; reader: RecordReader } {
    const all = this.#graves(id)
    // Of several those that have any: which is meant need only be said where it matters.
    const full = all.filter(({ reader }) => reader.queue.backlog.records > 0)
    const graves = full.length === 0 ? all.slice(0, 1) : full
    const [first] = graves
    if (first !== undefined && graves.length === 1) return first
    if (first === undefined) throw new QueryError(404, 'no storage here keeps dead letters')
    const hint = `storages: ${quoted(graves.map(one => one.id))}`
    throw new QueryError(400, 'there is more than one storage; say which with `storage`', hint)
  }

  #graves(id: string | undefined): { id: string; reader: RecordReader }[] {
    return chosen(this.#parts.storages(), id).flatMap(one => {
      const reader = this.#deadReader(one.storage)
      return reader === undefined ? [] : [{ id: one.id, reader }]
    })
  }

  #deadReader(storage: Storage | undefined): RecordReader | undefined {
    const queue = storage?.deadLetters
    if (queue === undefined) return undefined
    let reader = this.#readers.get(queue)
    if (reader === undefined) this.#readers.set(queue, (reader = this.#readerOf(queue)))
    return reader
  }

  #readerOf(queue: DurableQueue): RecordReader {
    return new RecordReader(queue, payload => this.#parts.budget.pool.give(payload))
  }

  /** The queue that is asked for, which must be one that nobody uses. */
  #orphan(query: Query): Orphan {
    const owner = query.text('queue')
    if (owner === undefined) {
      throw new QueryError(400, 'say which with `queue`, such as `otlp_grpc traces`, or `dead_letters`')
    }
    const storages = chosen(this.#parts.storages(), query.text('storage'))
    const all = storages.flatMap(({ id, storage }) => storage.list().map(view => ({ id, storage, view })))
    const found = all.filter(({ view }) => view.owner === owner)
    if (found.length > 1) {
      const hint = `storages: ${quoted(found.map(one => one.id))}`
      throw new QueryError(400, `queue \`${owner}\` is in more than one storage; say which with \`storage\``, hint)
    }
    const [one] = found
    if (one === undefined) {
      const owners = all.map(({ view }) => view.owner)
      const hint = owners.length === 0 ? 'there are no queues on disk' : `queues: ${quoted(owners)}`
      throw new QueryError(404, `there is no queue \`${owner}\` on disk`, suggest(owner, owners, hint))
    }
    if (!one.view.taken) return one
    const isLent = this.#lentOf(one.id).has(owner)
    throw new QueryError(
      409,
      isLent ? `queue \`${owner}\` is being exported or replayed` : `queue \`${owner}\` is sent by a running exporter`,
      isLent ? undefined : 'take the exporter out of the pipelines first, or wait until it is sent',
    )
  }

  /** Takes the queue, so that nobody else does while it is read. */
  #borrow({ id, storage, view: { owner } }: Orphan): OpenQueue & { readonly id: string } {
    const queue = storage.queue(owner)
    const lent = this.#lentOf(id)
    lent.add(owner)
    const close = (): void => {
      lent.delete(owner)
      queue.close()
    }
    return { id, reader: this.#readerOf(queue), close }
  }

  #lentOf(storage: string): Set<string> {
    let lent = this.#lent.get(storage)
    if (lent === undefined) this.#lent.set(storage, (lent = new Set()))
    return lent
  }
}

interface Orphan {
  readonly id: string
  readonly storage: Storage
  readonly view: QueueView
}
