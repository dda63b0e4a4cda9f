/** Sends records of a queue on disk into pipelines, or to one exporter, again: dead letters, or what an exporter left behind. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Batch } from '../core/batch.ts'
import type { Books, NodeBooks } from '../core/books.ts'
import type { Budget } from '../core/budget.ts'
import type { Answer, Ended, Listener, Ticket } from '../core/delivery.ts'
import { Entrance } from '../core/entrance.ts'
import { DeliveryError, messageOf } from '../core/errors.ts'
import type { Journal } from '../core/journal.ts'
import type { Logger } from '../core/logger.ts'
import type { StoredRecord } from '../core/storage.ts'
import type { RecordRange, RecordReader } from './records.ts'
import { type DestinationWord, replayName } from './replay-word.ts'
import { time } from './status.ts'

/** Where records go: into a pipeline, or past all of them to one exporter. */
export interface ReplayTarget {
  readonly kind: 'pipeline' | 'exporter'
  readonly id: string
}

/** The ways into what runs. */
export interface Entrances {
  /** The way in for data that comes from `from`, which is no receiver of it; undefined when there is no such pipeline now. */
  entrance(pipeline: string, from: NodeBooks): ((batch: Batch) => void) | undefined
  /** The way to one exporter alone; undefined when it takes nothing of that signal now. */
  exporterEntrance(exporter: string, from: NodeBooks): ((batch: Batch) => void) | undefined
}

/** What replaying needs of the process. */
export interface ReplayParts extends Entrances {
  readonly books: Books
  readonly journal: Journal
  readonly budget: Budget
  readonly log: Logger
}

/** What is to be replayed, and where to. */
export interface ReplayTerms {
  readonly storage: string
  readonly reader: RecordReader
  readonly range: RecordRange
  /** Records at most. */
  readonly limit: number
  /** Where a record goes; undefined: nowhere, it is left. */
  readonly targetOf: (record: StoredRecord) => ReplayTarget | undefined
  /** The exporters behind a target. */
  readonly exportersOf: (target: ReplayTarget) => readonly string[]
  /** What those say of it that have queues on disk. */
  readonly word: DestinationWord
  /** How long nothing may be taken before it gives up, in milliseconds. */
  readonly patience?: number
}

/** How a replay is, or was. */
export type ReplayState = 'running' | 'done' | 'stopped' | 'gave_up'

/** How many batches are on their way at a time. */
const width = 4
const backoff = { first: 200, factor: 2, longest: 5000 }
const defaultPatience = 60_000
/** Milliseconds between two looks for room in memory, and between two lines of the log. */
const roomInterval = 50
const tellInterval = 10_000

/** One replay, from the command to its end. */
export class Replay {
  state: ReplayState = 'running'
  /** Records that were meant, and their items. */
  records = 0
  items = 0
  /** Items that were taken, or dropped by rules of the pipeline. */
  replayed = 0
  /** Items that were refused for good once more, without having been put aside anew. */
  rejected = 0
  /** Of those that were taken: refused once more by their destination, and put aside anew. */
  putAside = 0
  /** Of those that were taken: in a queue on disk, and what their destination says is not known. */
  waiting = 0
  /** What stood in the way last. */
  error: string | undefined
  readonly started = Date.now()
  readonly #parts: ReplayParts
  readonly #terms: ReplayTerms
  readonly #log: Logger
  readonly #stopping = new AbortController()
  readonly #open = new Set<Ticket>()
  /** Exporters that were handed something. */
  readonly #exporters = new Set<string>()
  /** When something was taken last, by the clock of the process. */
  #lastTaken = performance.now()
  #toldAt = performance.now()

  constructor(parts: ReplayParts, terms: ReplayTerms) {
    this.#parts = parts
    this.#terms = terms
    this.#log = parts.log.child(replayName)
  }

  /** What it came to, up to now. */
  get report() {
    const { state, started, records, items, rejected, error, putAside, waiting } = this
    const left = items - this.replayed - rejected
    const { storage } = this.#terms
    const because = error === undefined || left + putAside === 0 ? {} : { error }
    const known = { replayed: this.replayed - putAside - waiting, rejected, put_aside_again: putAside, waiting }
    return { state, storage, started: time(started), records, items, ...known, left, ...because }
  }

  /** Resolves when all that was there at the beginning has been sent, or stays; never rejects. */
  async run(): Promise<void> {
    const { reader, range, limit } = this.#terms
    // What is put aside meanwhile comes later in the log, so that nothing goes round and round.
    const most = reader.queue.backlog.records
    const underWay = new Set<Promise<void>>()
    try {
      for await (const record of reader.records(range, { most, keep: true })) {
        if (this.#over || this.records === limit) break
        this.records++
        this.items += record.items
        const sent: Promise<void> = this.#send(record).finally(() => underWay.delete(sent))
        underWay.add(sent)
        if (underWay.size >= width) await Promise.race(underWay)
        this.#tell()
      }
    } catch (error) {
      this.state = 'gave_up'
      this.error = messageOf(error)
    }
    await Promise.all(underWay)
    await this.#listen()
    if (this.state === 'running') this.state = 'done'
    const { records, items, replayed, rejected, put_aside_again: again, waiting, left, error } = this.report
    const because = error === undefined ? {} : { error }
    const fields = { records, items, replayed, rejected, put_aside_again: again, waiting, left, ...because }
    if (left + rejected + again > 0)
      this.#log.warn(fields, 'replay is over; what it could not get rid of stays where it was')
    else this.#log.info(fields, 'replay is over')
  }

  /** Hears what the destinations say of what a disk has taken. */
  async #listen(): Promise<void> {
    if (this.replayed === 0) return
    try {
      const { putAside, waiting, said } = await this.#terms.word.of(
        this.#exporters,
        this.replayed,
        this.#stopping.signal,
      )
      this.putAside = putAside
      this.waiting = waiting
      this.error = said ?? this.error
    } catch (error) {
      this.#log.warn({ error: messageOf(error) }, 'what was put aside anew cannot be told')
    }
  }

  /** Sends no more, and takes back what was not taken yet. */
  stop(): void {
    if (this.state === 'running') this.state = 'stopped'
    this.#stopping.abort()
    const error = new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'the replay was stopped')
    for (const ticket of this.#open) ticket.withdraw(error)
  }

  get #over(): boolean {
    return this.state !== 'running'
  }

  async #send(record: StoredRecord): Promise<void> {
    const { budget } = this.#parts
    try {
      while (!this.#over && (budget.pressed || budget.crowded)) await this.#pause(roomInterval)
      for (let wait = backoff.first; !this.#over; wait = Math.min(wait * backoff.factor, backoff.longest)) {
        const end = await this.#attempt(record)
        if (end === undefined || !end.again) {
          this.#settle(record, end)
          return
        }
        this.error = end.error.message
        const { patience = defaultPatience } = this.#terms
        if (performance.now() - this.#lastTaken > patience) this.#giveUp()
        budget.charge(record.payload.length)
        await this.#pause(Math.min(Math.max(wait, end.error.retryAfter ?? 0), backoff.longest))
        budget.release(record.payload.length)
      }
    } catch (error) {
      this.error = messageOf(error)
      this.#log.error({ seq: record.seq, error: this.error }, 'a record cannot be replayed and stays where it is')
    }
  }

  #giveUp(): void {
    if (this.state === 'running') this.state = 'gave_up'
    this.#stopping.abort()
  }

  /**
   * Pushes it once, and waits until all of it is settled for good: what a queue in memory has taken is not. Undefined when
   * there is nowhere to, or the replay was stopped meanwhile: then the record stays.
   */
  async #attempt(record: StoredRecord): Promise<Ended | undefined> {
    const { books: allBooks, budget } = this.#parts
    const { signal, context, payload, shares, items } = record
    const target = this.#terms.targetOf(record)
    const books = allBooks.node({ kind: 'receiver', id: replayName, pipeline: '', signal })
    const push = target && this.#wayTo(target, books)
    if (target === undefined || push === undefined) {
      this.error =
        target === undefined ? 'no pipeline has its exporter' : `${target.kind} \`${target.id}\` is not there any more`
      return undefined
    }
    for (const id of this.#terms.exportersOf(target)) this.#exporters.add(id)
    const { promise, resolve, reject } = Promise.withResolvers<Ended | undefined>()
    const stopped = (): void => resolve(undefined)
    const listener = new Both((answer, end) => {
      if (answer.kind === 'malformed') return reject(new Error(answer.message))
      if (answer.kind !== 'refused') this.#lastTaken = performance.now()
      resolve(worse(answer, end, items))
    })
    const marked = { ...context, receiver: replayName, transport: replayName }
    const entrance = new Entrance(budget, batch => this.#push(batch, books, push))
    const ticket = entrance.enterAgain(signal, payload, shares, marked, listener)
    this.#open.add(ticket)
    this.#stopping.signal.addEventListener('abort', stopped)
    return promise.finally(() => {
      this.#open.delete(ticket)
      this.#stopping.signal.removeEventListener('abort', stopped)
    })
  }

  #push(batch: Batch, books: NodeBooks, push: (batch: Batch) => void): void {
    const answers = books.answersTo(replayName)
    for (const { delivery } of batch.shares) delivery.reportTo(answers)
    this.#parts.journal.received(books.name, batch)
    books.in += batch.items
    books.out += batch.items
    push(batch)
  }

  #wayTo({ kind, id }: ReplayTarget, from: NodeBooks): ((batch: Batch) => void) | undefined {
    return kind === 'pipeline' ? this.#parts.entrance(id, from) : this.#parts.exporterEntrance(id, from)
  }

  #settle(record: StoredRecord, end: Exclude<Ended, { again: true }> | undefined): void {
    const { queue } = this.#terms.reader
    const { items, seq } = record
    if (end === undefined) return
    const rejected = Math.min(end.rejected + end.lost, items)
    if (rejected === items) {
      // Nobody has put it aside anew: only of what it queues a destination does that.
      this.rejected += items
      this.error = end.reason
      this.#log.warn({ seq, items, error: end.reason }, 'replayed data was rejected again and stays where it was')
      return
    }
    if (rejected > 0) queue.end(record, rejected, 'rejected')
    if (items > rejected) queue.end(record, items - rejected, 'handed_over')
    this.rejected += rejected
    this.replayed += items - rejected
  }

  #tell(): void {
    const now = performance.now()
    if (now - this.#toldAt < tellInterval) return
    this.#toldAt = now
    const { records, items, replayed: sent, rejected } = this
    this.#log.info({ records, items, replayed: sent, rejected }, 'replaying')
  }

  async #pause(milliseconds: number): Promise<void> {
    await sleep(milliseconds, undefined, { signal: this.#stopping.signal }).catch(() => undefined)
  }
}

/** Hears of both moments, and tells when both have come. */
class Both implements Listener {
  readonly #then: (answer: Answer, end: Ended) => void
  #answer: Answer | undefined
  #end: Ended | undefined

  constructor(then: (answer: Answer, end: Ended) => void) {
    this.#then = then
  }

  answered(answer: Answer): void {
    this.#answer = answer
    if (this.#end !== undefined) this.#then(answer, this.#end)
  }

  ended(end: Ended): void {
    this.#end = end
    if (this.#answer !== undefined) this.#then(this.#answer, end)
  }
}

/** What became of a record of `items`: the answer may say of more that it was rejected, where a disk had it before that. */
function worse(answer: Answer, end: Ended, items: number): Ended {
  if (end.again) return end
  if (answer.kind === 'rejected') return { ...end, rejected: items, reason: answer.reason }
  if (answer.kind === 'partial') return { ...end, rejected: answer.rejected, reason: answer.reason }
  return end
}
