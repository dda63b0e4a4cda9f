import type { Batch } from '../../core/batch.ts'
import type { NodeBooks } from '../../core/books.ts'
import type { FindOffered } from '../../core/capability.ts'
import { DeliveryError, messageOf } from '../../core/errors.ts'
import type { Clock } from '../../core/clock.ts'
import { Gatherer, type GatherSettings, keyOf } from '../../core/gathering.ts'
import type { Latency } from '../../core/latency.ts'
import { mergeBatches } from '../../core/merge.ts'
import type { QueueConfig } from '../../core/sending.ts'
import type { TriedListener } from '../../core/trial.ts'
import { type DurableQueue, type Storage, storageKey } from '../../core/storage.ts'
import { sameValue } from '../../config/equal.ts'
import type { Gathered } from '../../plan/carried.ts'
import type { QueuePolicy } from '../../plan/queue-policy.ts'
import { type Ages, sooner } from './ages.ts'
import { Backlog, type BacklogParts } from './backlog.ts'
import { Claim } from './claim.ts'
import { makeEntry } from './entry.ts'
import { partsOf } from './halve.ts'
import { Sender } from './sender.ts'
import type { SenderParts } from './sender-parts.ts'
import type { Sink } from './sink.ts'
import type { Tap } from '../flow/tapped.ts'

/** Milliseconds between two looks for what is too old. */
const sweepEvery = 30_000

/** A batch, and the room that it takes. */
interface Taken {
  readonly batch: Batch
  readonly claim: Claim
}

/** What a destination is made of. */
export interface DestinationParts extends Omit<SenderParts, 'consumers' | 'deadLetters'> {
  /** What its queue means. */
  readonly policy: QueuePolicy
  readonly clock: Clock
  /** What requests that are gathered are kept apart by, besides what its queue says. */
  readonly apart?: readonly string[]
  /** Finds its storage, once extensions run. */
  readonly extension: FindOffered
}

/** What there is of a queue: goes over to the next destination of the same exporter on reload. */
interface Room {
  used: number
  /** Something ended. */
  onEnd: () => void
}

/** An exporter for one signal, with its queue. */
export class Destination implements Sink {
  readonly id: string
  readonly books: NodeBooks
  readonly required: boolean
  readonly blocks: boolean
  readonly #queue: QueueConfig | undefined
  readonly #sender: Sender
  #gatherer: Gatherer<Taken> | undefined
  /** What is gathered here, as the plan says. */
  #gathered: Gathered | undefined
  readonly #parts: DestinationParts
  readonly #unheld: () => void
  #room: Room
  /** Who waits for room here. */
  readonly #listeners: (() => void)[] = []
  /** Who looks at what it is given; asked once a batch. */
  #taps: readonly Tap[] | undefined
  #backlog: Backlog | undefined
  #storage: Storage | undefined
  /** Its queue on disk, from which nothing is read yet. */
  #found: DurableQueue | undefined
  /** Why it has no queue on disk although it is to have one. */
  #without: DeliveryError | undefined
  #seq = 0
  #stopping = false
  #sweep: NodeJS.Timeout | undefined
  /** So many that find no room are refused before it is looked again for what nobody waits for. */
  #unlooked = 0

  constructor(id: string, parts: DestinationParts) {
    this.id = id
    this.books = parts.books
    this.#parts = parts
    const { keeps, atLast } = parts.policy
    this.#queue = keeps && parts.config.sending_queue
    this.required = atLast !== 'drop'
    this.blocks = atLast === 'wait'
    // Without a queue each sender waits for its own answer, so that senders are the bound.
    const consumers = this.#queue?.num_consumers ?? Infinity
    this.#sender = new Sender({ ...parts, consumers, deadLetters: () => this.#storage?.deadLetters })
    this.#room = { used: 0, onEnd: () => this.#onEnd() }
    this.#unheld = this.books.holds(() => this.#sender.held() + this.#gathering() + (this.#backlog?.held() ?? 0))
  }

  /** Room taken, and room there is, in the unit of `sizer`. */
  get queueSize(): number {
    return this.#backlog?.size ?? this.#room.used
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

  /** Since when what it holds waits, and until when. */
  get ages(): Ages {
    const { oldest, expiresIn, askedFor } = this.#sender.ages()
    const { oldest: first = oldest, expiresIn: kept } = this.#backlog ?? {}
    return { oldest: first, expiresIn: sooner(expiresIn, kept), askedFor }
  }

  /** What does not fit into its queue waits on disk all the same: it is never full. */
  get spills(): boolean {
    return this.#parts.policy.whenFull === 'spill'
  }

  /** How long successful attempts took. */
  get latency(): Latency {
    return this.#sender.latency
  }

  /**
   * Finds its queue on disk, in a storage that has started. Nothing is read from it before `begin`.
   * @throws StorageError when its queue cannot be had
   */
  open(): void {
    const id = this.#parts.policy.storage
    if (id === undefined || this.#queue === undefined) return
    this.#storage = this.#parts.extension(id, storageKey)
    this.#found = this.#storage.queue(`${this.id} ${this.books.name.signal}`)
  }

  /** Goes on with what was found on disk. Where that cannot be had after all, it takes nothing. */
  begin(): void {
    // Whoever was to hand its queue on may have ended meanwhile.
    if (this.#backlog === undefined && this.#found === undefined) this.#openLate()
    const queue = this.#found
    if (queue === undefined || this.#storage === undefined || this.#queue === undefined) return
    this.#found = undefined
    const { records, items, oldest } = queue.backlog
    this.books.recovered += items
    if (records > 0) {
      const since = new Date(oldest ?? Date.now()).toISOString()
      this.#parts.log.info({ items, batches: records, since, queue: queue.owner }, 'found data on disk; sending it')
    }
    this.#backlog = new Backlog(queue, this.#storage, this.#backlogParts(this.#queue))
    this.#backlog.read()
    this.#sweep = setInterval(() => this.#sender.expire(), sweepEvery).unref()
  }

  #openLate(): void {
    try {
      this.open()
    } catch (error) {
      const { log, status } = this.#parts
      this.#without = new DeliveryError('DELIVERY_STORAGE', 'retry', `exporter ${this.id}: ${messageOf(error)}`)
      status.set('PermanentError', messageOf(error))
      log.error({ error: status.tell(messageOf(error)) }, 'its queue on disk cannot be had; it takes no data')
    }
  }

  /** Puts together what it is given in this way from now on. */
  gatherAs(gathered: Gathered | undefined): void {
    if (sameValue(gathered, this.#gathered)) return
    this.#gatherer?.flush()
    this.#gathered = gathered
    const settings = gathered?.settings
    this.#gatherer =
      settings &&
      new Gatherer(settings, {
        clock: this.#parts.clock,
        isIdle: () => this.#sender.idle,
        isAwaited: () => this.#parts.policy.success === 'delivered' && this.#parts.policy.isAwaited,
        sizeOf: ({ batch }) => (settings.sizer === 'items' ? batch.items : batch.byteLength),
        flushed: taken => this.#sendGathered(taken),
      })
  }

  /** In place of a step that would have answered: nobody waits for what is done here without a queue either. */
  get #accepts(): boolean {
    const { success, isAwaited } = this.#parts.policy
    return success === 'accepted' || (!isAwaited && this.#isCarried)
  }

  /** Whether the queue of `previous`, in memory or on disk, is to be this one's: then this one is not to `open` its own. */
  inherits(previous: Destination): boolean {
    return this.#queue !== undefined && previous.#parts.policy.storage === this.#parts.policy.storage
  }

  /**
   * Takes over what waits in `previous`, an instance of the same exporter and signal that is handed nothing more. What is
   * being sent ends there, and comes over if it has to be sent again.
   */
  adopt(previous: Destination): void {
    previous.#gatherer?.flush()
    this.#seq = previous.#seq
    if (!this.inherits(previous) || this.#queue === undefined) {
      // What is on disk stays with the one that has it.
      if (previous.#backlog === undefined) previous.#sender.handOver(this.#sender)
      return
    }
    this.#room = previous.#room
    this.#room.onEnd = () => this.#onEnd()
    previous.#room = { used: 0, onEnd: () => {} }
    if (previous.#backlog !== undefined) {
      this.#storage = previous.#storage
      this.#backlog = previous.#backlog
      previous.#backlog = undefined
      this.#sweep = setInterval(() => this.#sender.expire(), sweepEvery).unref()
      this.#backlog.moveTo(this.#backlogParts(this.#queue))
    }
    previous.#sender.handOver(this.#sender)
  }

  reserve(batch: Batch): DeliveryError | undefined {
    if (this.#stopping) return new DeliveryError('DELIVERY_STOPPING', 'retry', `exporter ${this.id} is stopping`)
    if (this.#without !== undefined) return this.#without
    if (this.#queue === undefined) return undefined
    const weight = this.#weigh(batch)
    if (this.#backlog !== undefined) {
      const full = this.#backlog.full(batch, weight)
      if (full === undefined) this.#backlog.reserve(batch, weight)
      return full
    }
    if (this.#room.used + weight > this.#queue.queue_size) {
      if (--this.#unlooked < 0) {
        this.purge()
        // Looking costs as much as there is: not for each that comes.
        this.#unlooked = this.#sender.waiting >> 2
      }
      // What is larger than the whole queue passes when the queue is empty, or it never would.
      if (this.#room.used > 0 && this.#room.used + weight > this.#queue.queue_size) {
        return new DeliveryError('DELIVERY_QUEUE_FULL', 'retry', `the queue of exporter ${this.id} is full`)
      }
    }
    this.#room.used += weight
    return undefined
  }

  cancel(batch: Batch): void {
    if (this.#queue === undefined) return
    if (this.#backlog !== undefined) this.#backlog.cancel(batch, this.#weigh(batch))
    else this.#room.used -= this.#weigh(batch)
  }

  take(batch: Batch, done: () => void): void {
    this.books.in += batch.items
    if (this.#taps !== undefined) for (const tap of this.#taps) tap.see(batch)
    const weight = this.#queue === undefined ? 0 : this.#weigh(batch)
    if (this.#backlog !== undefined) return this.#backlog.take(batch, weight, done)
    const kept = this.#accepts ? batch.compacted().taken() : batch.compacted()
    const room = this.#room
    const claim = new Claim(() => {
      room.used -= weight
      done()
      room.onEnd()
    })
    this.#add({ batch: kept, claim })
  }

  onRoom(listener: () => void): () => void {
    const listeners = this.#listeners
    listeners.push(listener)
    return () => {
      const at = listeners.indexOf(listener)
      if (at >= 0) listeners.splice(at, 1)
    }
  }

  /** These look at what it is given from now on, and no others. */
  tap(taps: readonly Tap[]): void {
    this.#taps = taps.length === 0 ? undefined : taps
  }

  /** Milliseconds until something that waits is tried by itself; undefined where nothing does. */
  get nextAttempt(): number | undefined {
    return this.#sender.nextAttempt
  }

  /** Tries now what waits; `listener` hears of the next attempt that ends. */
  retry(listener: TriedListener): void {
    this.#sender.retry(listener)
  }

  /** What waits because there was no connection is tried. */
  reached(): void {
    this.#sender.reached()
  }

  /** Ends what nobody waits for any more. */
  purge(): void {
    if (this.#queue === undefined || this.#parts.policy.success !== 'delivered') return
    const removed = this.#gatherer?.remove(({ batch }) => batch.withdrawn) ?? []
    for (const { batch, claim } of removed) {
      const error = new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'the sender stopped waiting')
      this.books.returned.of(error.code).value += batch.items
      batch.refuse(error)
      claim.end()
    }
    this.#sender.purge()
  }

  /** Sends what is on disk, too, until `deadline` (milliseconds since the epoch); to be followed by `stop`. */
  async drain(deadline: number): Promise<void> {
    await this.#backlog?.drained(deadline)
  }

  /**
   * Sends what is left until `deadline` (milliseconds since the epoch) and gives the rest up; what is on disk stays there.
   * Returns the items lost.
   */
  async stop(deadline: number): Promise<number> {
    this.#stopping = true
    clearInterval(this.#sweep)
    this.#gatherer?.flush()
    const lost = this.books.lost.total
    // First what is being written, which may still be something to send or to give back.
    await this.#backlog?.stop(deadline)
    await this.#sender.stop(deadline)
    this.#backlog?.close()
    this.#backlog = undefined
    this.#found?.close()
    this.#found = undefined
    this.#unheld()
    return this.books.lost.total - lost
  }

  #onEnd(): void {
    for (const listener of this.#listeners) listener()
    if (this.#sender.idle) this.#gatherer?.idle()
  }

  #backlogParts(config: QueueConfig): BacklogParts {
    const { policy, books, journal, log, budget } = this.#parts
    const send = (batch: Batch, claim: Claim): void => this.#add({ batch, claim })
    const gathered = (): GatherSettings | undefined => (this.#isCarried ? this.#gathered?.settings : undefined)
    return { config, policy, books, journal, log, budget: budget(), gathered, send, onRoom: () => this.#onEnd() }
  }

  /** Items that are gathered. */
  #gathering(): number {
    let items = 0
    for (const { batch } of this.#gatherer ?? []) items += batch.items
    return items
  }

  #add(taken: Taken): void {
    // What is not on disk although it should be must not be taken for something that is.
    const alone = this.#stopping || (this.#backlog !== undefined && !taken.claim.durable)
    if (this.#gatherer === undefined || alone) this.#send(taken)
    else this.#gatherer.add(this.#keyOf(taken.batch), taken)
  }

  get #isCarried(): boolean {
    return this.#gathered?.inPlaceOf !== undefined
  }

  #keyOf({ context }: Batch): string {
    return this.#gatherer === undefined ? '' : keyOf(this.#gatherer.settings, context, this.#parts.apart ?? [])
  }

  #weigh(batch: Batch): number {
    switch (this.#queue?.sizer) {
      case 'items':
        return batch.items
      case 'bytes':
        return batch.byteLength
      case 'requests':
      case undefined:
        // As if the step stood in front of it: what joins others is one with them.
        return this.#gatherer !== undefined && this.#isCarried && this.#gatherer.has(this.#keyOf(batch)) ? 0 : 1
    }
  }

  #sendGathered(taken: Taken[]): void {
    const [first] = taken
    if (first === undefined) return
    if (taken.length === 1) return this.#send(first)
    const claim = Claim.merged(taken)
    this.#send({ batch: mergeBatches(taken.map(one => one.batch)), claim })
  }

  /** Hands a batch to the sender, cut to `max_size` where that is set. */
  #send({ batch, claim }: Taken): void {
    const { retry_on_failure } = this.#parts.config
    const seq = ++this.#seq
    const parts = partsOf(batch, this.#gatherer?.settings)
    for (let i = 1; i < parts.length; i++) claim.split()
    for (const part of parts) this.#sender.send(makeEntry(part, seq, claim, retry_on_failure))
  }
}
