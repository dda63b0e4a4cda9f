/** How long there is room yet, as things go now: in queues, and in the storages behind them. */
import type { Books, NodeBooks } from '../core/books.ts'
import type { Storage } from '../core/storage.ts'
import type { QueueFigures } from '../telemetry/family.ts'
import type { Pace, Rates } from './rates.ts'

/** What is looked at of a storage. */
type Watched = Pick<Storage, 'room' | 'roomOnDisk' | 'trouble' | 'list'>

/** Storages by the id of their extension. */
type Storages = () => readonly { readonly id: string; readonly storage: Watched }[]

/** Milliseconds between two looks, and from the first to the last of which a rate is made. */
const interval = 5000
const window = 60_000
/** A rate of less time says nothing. */
const leastWindow = 10_000
/** That share more that comes than ends is no chance. */
const noticeable = 1.1
/** In a queue that is less full than this there is no telling. */
const leastFull = 0.05

/** How much of a storage there was at some time. */
interface Look {
  readonly at: number
  /** Bytes left, and bytes that wait. */
  readonly room: number
  readonly waiting: number
}

/** What is asked of it. */
export interface Foreseen {
  /** Seconds until the queue is full; undefined while it does not fill, or is full. */
  ofQueue(queue: QueueFigures): number | undefined
  /** Seconds until the storage is; likewise. */
  ofStorage(id: string): number | undefined
}

/** Seconds until `queue` is full of which `held` items have not ended; undefined while it does not fill, or is full. */
export function fullIn(
  queue: Pick<QueueFigures, 'queueSize' | 'queueCapacity' | 'spills'>,
  held: number,
  { in: comes, ended }: Pick<Pace, 'in' | 'ended'>,
): number | undefined {
  const { queueSize: size, queueCapacity: capacity, spills = false } = queue
  if (spills || size >= capacity || size < leastFull * capacity || comes <= noticeable * ended) return undefined
  // Size and capacity are in the unit of its sizer, rates in items.
  return ((capacity - size) * (held / size)) / (comes - ended)
}

/** Looks at storages, and says how long there is room. */
export class Outlook implements Foreseen {
  readonly #books: Books
  readonly #rates: Rates
  readonly #storages: Storages
  /** Of each storage: the first at most `window` before the last. */
  readonly #looks = new Map<string, Look[]>()
  #timer: NodeJS.Timeout | undefined

  constructor(books: Books, rates: Rates, storages: Storages) {
    this.#books = books
    this.#rates = rates
    this.#storages = storages
  }

  start(): void {
    this.look()
    this.#timer = setInterval(() => this.look(), interval)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Looks once. */
  look(now = Date.now()): void {
    const storages = this.#storages()
    for (const { id, storage } of storages) {
      const looks = this.#looks.get(id) ?? []
      if (looks.length === 0) this.#looks.set(id, looks)
      looks.push(lookAt(storage, now))
      while (looks.length > 1 + window / interval) looks.shift()
    }
    for (const id of this.#looks.keys()) if (!storages.some(one => one.id === id)) this.#looks.delete(id)
  }

  ofQueue(queue: QueueFigures): number | undefined {
    const node = this.#books.nodes.find(({ name, retired }) => !retired && isOf(queue, name))
    return node && fullIn(queue, node.held(), this.#rates.of(node, window))
  }

  ofStorage(id: string, now = Date.now()): number | undefined {
    const found = this.#storages().find(one => one.id === id)
    const first = this.#looks.get(id)?.[0]
    if (found === undefined || found.storage.trouble !== undefined || first === undefined) return undefined
    const span = now - first.at
    if (span < leastWindow) return undefined
    const { room, waiting } = lookAt(found.storage, now)
    // Room comes back by whole files, so that it falls between two of them although nothing stays; and what waits for two
    // destinations stands on disk once. It fills by the lesser of both.
    const grown = Math.min(first.room - room, waiting - first.waiting)
    return grown > 0 ? (found.storage.roomOnDisk / grown) * (span / 1000) : undefined
  }
}

const isOf = ({ id, signal }: QueueFigures, name: NodeBooks['name']): boolean =>
  name.kind === 'exporter' && name.id === id && name.signal === signal

const lookAt = (storage: Watched, at: number): Look => ({
  at,
  room: storage.room,
  waiting: storage.list().reduce((sum, { backlog }) => sum + backlog.bytes, 0),
})
