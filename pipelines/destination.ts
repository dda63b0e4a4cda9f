import { type Batch, mergeBatches } from '../core/batch.ts'
import type { NodeBooks } from '../core/books.ts'
import { DeliveryError } from '../core/errors.ts'
import type { Latency } from '../core/latency.ts'
import type { QueueConfig } from '../core/sending.ts'
import type { Storage } from '../core/storage.ts'
import { Claim, makeEntry } from './entry.ts'
import { Gatherer } from './gather.ts'
import { halve } from './halve.ts'
import { Sender, type SenderParts } from './sender.ts'

/** What a fan-out hands batches to. Room is reserved in all of them before any is given the batch. */
export interface Sink {
  readonly id: string
  readonly books: NodeBooks
  /** Room is needed before the others get the batch; otherwise what finds no room is dropped. */
  readonly required: boolean
  /** Senders wait for room instead of being refused. */
  readonly blocks: boolean
  /** What it takes counts as accepted at once. */
  readonly accepts: boolean
  /** Reserves room for `batch` and says whether there was any; to be followed by `take` or `cancel`. */
  reserve(batch: Batch): boolean
  cancel(batch: Batch): void
  /** Takes a batch for which room is reserved; `done` is called once when nothing of it is left here. */
  take(batch: Batch, done: () => void): void
  /** Calls `listener` when room came back. */
  onRoom(listener: () => void): void
}

interface Token {
  readonly claim: Claim
  readonly acknowledged: boolean
}

/** An exporter for one signal, with its queue. */
export class Destination implements Sink {
  readonly id: string
  readonly books: NodeBooks
  readonly required: boolean
  readonly blocks: boolean
  readonly accepts: boolean
  readonly #queue: QueueConfig | undefined
  readonly #sender: Sender
  readonly #gatherer: Gatherer<Token> | undefined
  readonly #parts: Omit<SenderParts, 'consumers'>
  readonly #listeners: (() => void)[] = []
  #used = 0
  #seq = 0
  #stopping = false

  constructor(id: string, parts: Omit<SenderParts, 'consumers'>) {
    this.id = id
    this.books = parts.books
    this.#parts = parts
    const { sending_queue: queue } = parts.config
    this.#queue = queue.enabled ? queue : undefined
    this.required = this.#queue?.when_full !== 'drop'
    this.blocks = this.#queue?.block_on_overflow ?? false
    this.accepts = this.#queue !== undefined && !this.#queue.wait_for_result
    // Without a queue each sender waits for its own answer, so that senders are the bound.
    this.#sender = new Sender({ ...parts, consumers: this.#queue?.num_consumers ?? Infinity })
    this.#gatherer =
      this.#queue?.batch &&
      new Gatherer(
        this.#queue,
        this.#queue.batch,
        () => this.#sender.idle,
        gathered => this.#sendGathered(gathered),
      )
    this.books.holds(() => this.#sender.held() + (this.#gatherer?.held() ?? 0))
  }

  /** Room taken, and room there is, in the unit of `sizer`. */
  get queueSize(): number {
    return this.#used
  }

  get queueCapacity(): number {
    return this.#queue?.queue_size ?? 0
  }

  get inFlight(): number {
    return this.#sender.inFlight
  }

  get lastSuccess(): number {
    return this.#sender.lastSuccess
  }

  /** When the oldest batch it holds came in, in milliseconds since the epoch; undefined when it holds none. */
  get oldest(): number | undefined {
    return this.#sender.oldest()
  }

  /** How long successful attempts took. */
  get latency(): Latency {
    return this.#sender.latency
  }

  /** Finds its storage, once extensions run, and goes on with what is there. */
  open(storage: (id: string) => Storage | undefined): void {
    void storage
  }

  reserve(batch: Batch): boolean {
    if (this.#stopping) return false
    if (this.#queue === undefined) return true
    const weight = this.#weigh(batch)
    if (this.#used + weight > this.#queue.queue_size) {
      this.purge()
      // What is larger than the whole queue passes when the queue is empty, or it never would.
      if (this.#used > 0 && this.#used + weight > this.#queue.queue_size) return false
    }
    this.#used += weight
    return true
  }

  cancel(batch: Batch): void {
    if (this.#queue !== undefined) this.#used -= this.#weigh(batch)
  }

  take(batch: Batch, done: () => void): void {
    this.books.in += batch.items
    const weight = this.#queue === undefined ? 0 : this.#weigh(batch)
    const kept = batch.compacted()
    const acknowledged = this.accepts
    const claim = new Claim(weight, () => {
      this.#used -= weight
      done()
      for (const listener of this.#listeners) listener()
      if (this.#sender.idle) this.#gatherer?.flushSoon()
    })
    if (acknowledged) kept.acknowledge()
    const token = { claim, acknowledged }
    if (this.#gatherer !== undefined && !this.#stopping) this.#gatherer.add({ batch: kept, token })
    else this.#send(kept, token)
  }

  onRoom(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** Ends what nobody waits for any more. */
  purge(): void {
    if (this.#queue?.wait_for_result !== true) return
    const removed = this.#gatherer?.remove(({ batch, token }) => !token.acknowledged && batch.withdrawn) ?? []
    for (const { batch, token } of removed) {
      const error = new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'the sender stopped waiting')
      this.books.returned.of(error.code).value += batch.items
      batch.refuse(error)
      token.claim.end()
    }
    this.#sender.purge()
  }

  /** Sends what is left until `deadline` (milliseconds since the epoch) and gives the rest up; returns the items lost. */
  async stop(deadline: number): Promise<number> {
    this.#stopping = true
    this.#gatherer?.flush()
    return this.#sender.stop(deadline)
  }

  #weigh(batch: Batch): number {
    switch (this.#queue?.sizer) {
      case 'items':
        return batch.items
      case 'bytes':
        return batch.byteLength
      case 'requests':
      case undefined:
        return 1
    }
  }

  #sendGathered(gathered: { batch: Batch; token: Token }[]): void {
    if (gathered.length === 1) return this.#send(gathered[0].batch, gathered[0].token)
    const claims = gathered.map(({ token }) => token.claim)
    const claim = new Claim(0, () => {
      for (const one of claims) one.end()
    })
    this.#send(mergeBatches(gathered.map(({ batch }) => batch)), {
      claim,
      acknowledged: gathered[0].token.acknowledged,
    })
  }

  /** Hands a batch to the sender, cut to `max_size` where that is set. */
  #send(batch: Batch, { claim, acknowledged }: Token): void {
    const { retry_on_failure } = this.#parts.config
    const seq = ++this.#seq
    const { maxItems, maxBytes } = this.#gatherer ?? {}
    const pending = [batch]
    for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
      let parts: readonly Batch[] | undefined
      if (maxItems !== undefined && next.items > maxItems) {
        const [head, rest] = next.cut(maxItems)
        parts = rest && [head, rest]
      } else if (maxBytes !== undefined && next.byteLength > maxBytes) parts = halve(next)
      if (parts === undefined) this.#sender.send(makeEntry(next, seq, claim, acknowledged, retry_on_failure))
      else {
        claim.split()
        pending.unshift(...parts)
      }
    }
  }
}
