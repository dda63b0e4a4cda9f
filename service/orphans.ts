/** Queues on disk that nobody sends: what gets too old in them is given up, as their exporter would have done. */
import type { Books } from '../core/books.ts'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Amount, Storage } from '../core/storage.ts'
import { allSignals } from '../proto/signals.ts'
import type { NamedStorage } from './queue-pages.ts'
import { ownerOf } from './records.ts'

type OrphanStorage = NamedStorage<Pick<Storage, 'maxAge' | 'now' | 'orphans' | 'expire'>>

/** What is needed of the process. */
export interface OrphanParts {
  readonly books: Books
  readonly log: Logger
  /** Those that have started. */
  storages(): readonly OrphanStorage[]
}

/** Milliseconds between two looks. The first comes that long after the start: somebody may have to see the log before. */
const interval = 60_000

/** Looks after them while the process runs. */
export class OrphanExpiry {
  readonly #parts: OrphanParts
  #timer: NodeJS.Timeout | undefined
  #isBusy = false

  constructor(parts: OrphanParts) {
    this.#parts = parts
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), interval).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Gives up what is too old by now; never rejects. */
  async look(): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      for (const one of this.#parts.storages()) await this.#lookInto(one)
    } catch (error) {
      this.#parts.log.warn({ error: messageOf(error) }, 'queues on disk that nobody sends cannot be looked for')
    } finally {
      this.#isBusy = false
    }
  }

  async #lookInto({ id, storage }: OrphanStorage): Promise<void> {
    const until = storage.now - storage.maxAge
    for (const { owner, oldest = Infinity } of storage.orphans()) {
      if (oldest > until) continue
      try {
        const lost = await storage.expire(owner, until)
        if (lost.records > 0) this.#tell({ storage: id, owner, maxAge: storage.maxAge, lost })
      } catch (error) {
        const fields = { storage: id, queue: owner, error: messageOf(error) }
        this.#parts.log.warn(fields, 'a queue on disk that nobody sends cannot be read')
      }
    }
  }

  /** Books it where its exporter would have: as found on disk, and lost. */
  #tell({ storage, owner, maxAge, lost }: { storage: string; owner: string; maxAge: number; lost: Amount }): void {
    const { books, log } = this.#parts
    const [id, name] = ownerOf(owner)
    const signal = allSignals.find(one => one === name)
    if (signal !== undefined) {
      const before = books.nodes.length
      const node = books.node({ kind: 'exporter', id, pipeline: '', signal })
      // One that this process never had is none of those that run.
      if (books.nodes.length > before) node.retired = true
      node.recovered += lost.items
      node.lost.of('expired').value += lost.items
    }
    const fields = { storage, queue: owner, ...lost, max_age_seconds: maxAge / 1000 }
    log.error(fields, 'data lost: expired in a queue on disk that no exporter of the configuration sends')
  }
}
