import { apartKey, headersApart } from '../../core/apart.ts'
import type { Batch } from '../../core/batch.ts'
import type { BatchConfig, QueueConfig } from '../../core/sending.ts'

/** Something taken into a queue that may be sent together with others. */
export interface Gathered<T> {
  readonly batch: Batch
  readonly token: T
}

interface Partition<T> {
  gathered: Gathered<T>[]
  size: number
  timer: NodeJS.Timeout | undefined
}

/**
 * Gathers what a destination is given into larger batches (`sending_queue.batch`): flushed at `min_size`, after
 * `flush_timeout`, or at the end of the turn when the destination has nothing to do, or no more.
 */
export class Gatherer<T> {
  readonly #config: BatchConfig
  readonly #sizer: 'items' | 'bytes'
  readonly #flushed: (gathered: Gathered<T>[]) => void
  readonly #idle: () => boolean
  /** What keeps requests apart. */
  readonly #apart: readonly string[]
  readonly #partitions = new Map<string, Partition<T>>()
  #immediate: NodeJS.Immediate | undefined

  constructor(
    queue: QueueConfig,
    config: BatchConfig,
    idle: () => boolean,
    flushed: (gathered: Gathered<T>[]) => void,
    apart: readonly string[] = [],
  ) {
    this.#apart = [...new Set([...headersApart(config.partition.metadata_keys), ...apart])]
    this.#config = config
    this.#sizer = config.sizer ?? (queue.sizer === 'bytes' ? 'bytes' : 'items')
    this.#idle = idle
    this.#flushed = flushed
  }

  /** What `max_size` cuts by, or undefined when nothing is cut. */
  get maxItems(): number | undefined {
    return this.#config.max_size > 0 && this.#sizer === 'items' ? this.#config.max_size : undefined
  }

  get maxBytes(): number | undefined {
    return this.#config.max_size > 0 && this.#sizer === 'bytes' ? this.#config.max_size : undefined
  }

  add(one: Gathered<T>): void {
    const key = this.#keyOf(one.batch)
    let partition = this.#partitions.get(key)
    if (partition === undefined) {
      partition = { gathered: [], size: 0, timer: undefined }
      this.#partitions.set(key, partition)
      partition.timer = setTimeout(() => this.#flush(key), this.#config.flush_timeout)
    }
    partition.gathered.push(one)
    partition.size += this.#sizeOf(one.batch)
    if (partition.size >= this.#config.min_size) this.#flush(key)
    else if (this.#idle()) this.flushSoon()
  }

  /** The destination has nothing to do: sends on what is gathered, at the end of this turn. */
  flushSoon(): void {
    if (this.#partitions.size === 0 || this.#immediate !== undefined) return
    this.#immediate = setImmediate(() => this.flush())
  }

  /** Sends on all that is gathered. */
  flush(): void {
    this.#immediate = undefined
    for (const key of this.#partitions.keys()) this.#flush(key)
  }

  held(): number {
    let items = 0
    for (const { gathered } of this.#partitions.values()) for (const { batch } of gathered) items += batch.items
    return items
  }

  /** Takes out what `unwanted` says. */
  remove(unwanted: (one: Gathered<T>) => boolean): Gathered<T>[] {
    const removed: Gathered<T>[] = []
    for (const partition of this.#partitions.values()) {
      partition.gathered = partition.gathered.filter(one => {
        if (!unwanted(one)) return true
        partition.size -= this.#sizeOf(one.batch)
        removed.push(one)
        return false
      })
    }
    return removed
  }

  #flush(key: string): void {
    const partition = this.#partitions.get(key)
    if (partition === undefined) return
    this.#partitions.delete(key)
    clearTimeout(partition.timer)
    if (partition.gathered.length > 0) this.#flushed(partition.gathered)
  }

  #sizeOf(batch: Batch): number {
    return this.#sizer === 'items' ? batch.items : batch.byteLength
  }

  #keyOf(batch: Batch): string {
    return apartKey(this.#apart, batch.context)
  }
}
