/** What destinations say of replayed records that a queue on disk has taken meanwhile: that is safe, and no word of theirs. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Storage } from '../core/storage.ts'
import type { NamedStorage } from './queue-pages.ts'
import { ownerOf, type RecordReader } from './records.ts'

/** Receiver and transport of what is replayed, in books, journal and context. */
export const replayName = 'replay'

/** What is known of it, in items. */
export interface Word {
  /** Refused once more, and put aside anew. */
  readonly putAside: number
  /** So many may still wait for their destination. */
  readonly waiting: number
  /** What was said of what was put aside, the last time. */
  readonly said: string | undefined
}

/** Where it is looked for. */
export interface WordParts {
  storages(): readonly NamedStorage[]
  deadReader(storage: Storage): RecordReader | undefined
  /** Whether the queue is only read by somebody, and sent by nobody. */
  isLent(storage: string, owner: string): boolean
}

/** Milliseconds that a replay waits for it, and between two looks. */
const patience = 5000
const lookEvery = 50

/** Waits for the word of the exporters that were handed something, from its making on. */
export class DestinationWord {
  readonly #parts: WordParts
  readonly #began: ReadonlyMap<string, number>

  constructor(parts: WordParts) {
    this.#parts = parts
    this.#began = new Map(parts.storages().map(({ id, storage }) => [id, storage.now]))
  }

  /** `exporters` were handed `items` by now. Resolves when they have told of all, when that takes long, or with `signal`. */
  async of(exporters: ReadonlySet<string>, items: number, signal: AbortSignal): Promise<Word> {
    const until = new Map(this.#parts.storages().map(({ id, storage }) => [id, storage.now]))
    const end = performance.now() + patience
    let waiting = this.#waiting(exporters, until)
    while (waiting > 0 && performance.now() < end && !signal.aborted) {
      await sleep(lookEvery, undefined, { signal }).catch(() => undefined)
      waiting = this.#waiting(exporters, until)
    }
    const { putAside, said } = await this.#buried(exporters)
    return { putAside: Math.min(putAside, items), said, waiting: Math.max(0, Math.min(waiting, items - putAside)) }
  }

  /** Items in queues that have something as old as what was handed over; what came later may be among them. */
  #waiting(exporters: ReadonlySet<string>, until: ReadonlyMap<string, number>): number {
    let items = 0
    for (const { id, storage } of this.#parts.storages()) {
      for (const { owner, taken, backlog } of storage.list()) {
        if (!taken || !exporters.has(ownerOf(owner)[0]) || this.#parts.isLent(id, owner)) continue
        if (backlog.oldest !== undefined && backlog.oldest <= (until.get(id) ?? 0)) items += backlog.items
      }
    }
    return items
  }

  async #buried(exporters: ReadonlySet<string>): Promise<Omit<Word, 'waiting'>> {
    let putAside = 0
    let said: string | undefined
    for (const { id, storage } of this.#parts.storages()) {
      const reader = this.#parts.deadReader(storage)
      if (reader === undefined) continue
      for await (const { context, note, items } of reader.records({ since: this.#began.get(id) })) {
        if (context.receiver !== replayName || !exporters.has(ownerOf(note?.owner ?? '')[0])) continue
        putAside += items
        said = note?.message
      }
    }
    return { putAside, said }
  }
}
