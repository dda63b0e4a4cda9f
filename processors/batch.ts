import { Observable, type Subscriber } from 'rxjs'
import * as z from 'zod'
import { Account } from '../core/account.ts'
import type { Batch } from '../core/batch.ts'
import { defineProcessor, type ProcessorContext } from '../core/component.ts'
import { DeliveryError } from '../core/errors.ts'
import { duration, int, texts } from '../core/fields.ts'
import type { Touch } from '../core/touch.ts'
import { mergeBatches } from '../core/merge.ts'
import { budgetKey } from '../net/admission.ts'

const config = z
  .strictObject({
    send_batch_size: int(0)
      .default(8192)
      .describe('Items (spans, log records, data points) from which on a batch goes out at once.'),
    timeout: duration().prefault('200ms').describe('How long items may wait for more; 0 passes everything on at once.'),
    send_batch_max_size: int(0).default(0).describe('Items above which a batch is cut; 0 never cuts.'),
    metadata_keys: texts()
      .default([])
      .describe(
        'Request metadata of which each combination is batched apart; needs `include_metadata` at the receiver.',
      ),
    metadata_cardinality_limit: int(0)
      .default(1000)
      .describe('How many combinations there may be at most; 0 sets no limit.'),
  })
  .refine(c => c.send_batch_max_size === 0 || c.send_batch_max_size >= c.send_batch_size, {
    error: '`send_batch_max_size` must not be below `send_batch_size`',
    path: ['send_batch_max_size'],
  })
type Config = z.output<typeof config>

export const batch = defineProcessor({
  type: 'batch',
  stability: 'beta',
  summary: 'Gathers items into larger batches; at once when nothing is being sent, otherwise until size or timeout.',
  signals: ['traces', 'metrics', 'logs'],
  hold: 'flush',
  config,
  examples: [
    { title: 'The defaults', config: {} },
    { title: 'Large batches, one per tenant', config: { send_batch_size: 20000, metadata_keys: ['x-tenant'] } },
  ],

  touches({ metadata_keys, send_batch_max_size }): Touch[] {
    const apart = metadata_keys.map(name => `metadata.${name.toLowerCase()}`)
    const touches: Touch[] = apart.map(what => ({ depth: 'request', does: 'reads', key: 'metadata_keys', what }))
    touches.push({
      depth: 'request',
      does: 'moves',
      key: 'send_batch_size',
      what: 'requests into larger batches',
      apart,
    })
    if (send_batch_max_size > 0) {
      touches.push({
        depth: 'item',
        does: 'moves',
        key: 'send_batch_max_size',
        what: 'what is too much into the next batch',
      })
    }
    return touches
  },

  create(settings, context) {
    return source =>
      new Observable<Batch>(subscriber => {
        const shards = new Shards(settings, context, subscriber)
        context.holds(() => shards.held())
        const subscription = source.subscribe({
          next: arrived => shards.add(arrived),
          error: error => subscriber.error(error),
          complete: () => {
            shards.flushAll()
            subscriber.complete()
          },
        })
        return () => {
          subscription.unsubscribe()
          shards.close()
        }
      })
  },
})

/** Least milliseconds between two batches while several senders are busy, unless size or timeout say otherwise. */
const pace = 2

/** What is gathered for one combination of metadata. */
interface Shard {
  batches: Batch[]
  items: number
  timer: NodeJS.Timeout | undefined
}

/** Bytes that a combination takes: its text, its timer, and the batches it keeps apart. */
const costOf = (key: string): number => 1000 + 2 * key.length

class Shards {
  readonly #config: Config
  readonly #context: ProcessorContext
  readonly #subscriber: Subscriber<Batch>
  readonly #shards = new Map<string, Shard>()
  /** What combinations of metadata take. */
  readonly #account: Account
  readonly #unsubscribe: () => void
  #immediate: NodeJS.Immediate | undefined
  #paced: NodeJS.Timeout | undefined
  /** Whether the last batch was made of several requests, and when it left. */
  #crowded = false
  #flushedAt = 0

  constructor(settings: Config, context: ProcessorContext, subscriber: Subscriber<Batch>) {
    this.#config = settings
    this.#context = context
    this.#subscriber = subscriber
    this.#account = new Account(context.host.find(budgetKey), 'processor', context.id)
    this.#unsubscribe = context.downstream.onIdle(() => this.#flushSoon())
  }

  held(): number {
    let items = 0
    for (const shard of this.#shards.values()) items += shard.items
    return items
  }

  add(arrived: Batch): void {
    const key = this.#keyOf(arrived)
    let shard = this.#shards.get(key)
    if (shard === undefined) {
      const limit = this.#config.metadata_cardinality_limit
      if (key !== '' && limit > 0 && this.#shards.size >= limit) {
        const text = `${this.#context.id}: more than ${limit} combinations of \`metadata_keys\``
        this.#context.refuse(arrived, new DeliveryError('DELIVERY_BUSY', 'retry', text))
        return
      }
      if (key !== '' && !this.#account.grow(costOf(key))) {
        const text = `${this.#context.id}: no memory for one more combination of \`metadata_keys\``
        this.#context.refuse(arrived, new DeliveryError('DELIVERY_MEMORY', 'retry', text))
        return
      }
      shard = { batches: [], items: 0, timer: undefined }
      this.#shards.set(key, shard)
    }
    shard.batches.push(this.#context.custody(arrived))
    shard.items += arrived.items
    const { send_batch_size, timeout } = this.#config
    if (timeout === 0 || (send_batch_size > 0 && shard.items >= send_batch_size)) this.#flush(key, shard)
    else if (this.#context.downstream.inFlight === 0) this.#flushSoon()
    else shard.timer ??= setTimeout(() => this.flush(key), timeout)
  }

  flushAll(): void {
    for (const key of this.#shards.keys()) this.flush(key)
  }

  flush(key: string): void {
    const shard = this.#shards.get(key)
    if (shard !== undefined) this.#flush(key, shard)
  }

  close(): void {
    this.#unsubscribe()
    clearImmediate(this.#immediate)
    clearTimeout(this.#paced)
    for (const { timer } of this.#shards.values()) clearTimeout(timer)
    this.#shards.clear()
    this.#account.close()
  }

  /**
   * At the end of this turn, so that what arrived together goes out together. After a batch of several requests more are
   * on their way: then not sooner than `pace` after that one. A lone sender is never kept waiting.
   */
  #flushSoon(): void {
    if (this.#shards.size === 0 || this.#immediate !== undefined || this.#paced !== undefined) return
    const wait = this.#crowded ? this.#flushedAt + pace - performance.now() : 0
    if (wait <= 0) {
      this.#immediate = setImmediate(() => {
        this.#immediate = undefined
        this.flushAll()
      })
      return
    }
    this.#paced = setTimeout(() => {
      this.#paced = undefined
      this.flushAll()
    }, wait)
  }

  #flush(key: string, shard: Shard): void {
    this.#shards.delete(key)
    if (key !== '') this.#account.shrink(costOf(key))
    clearTimeout(shard.timer)
    this.#crowded = shard.batches.length > 1
    this.#flushedAt = performance.now()
    let whole: Batch | undefined = mergeBatches(shard.batches)
    const max = this.#config.send_batch_max_size
    while (whole !== undefined) {
      const [head, rest]: [Batch, Batch | undefined] = max > 0 ? whole.cut(max) : [whole, undefined]
      this.#subscriber.next(head)
      whole = rest
    }
  }

  #keyOf(arrived: Batch): string {
    const keys = this.#config.metadata_keys
    if (keys.length === 0) return ''
    return JSON.stringify(keys.map(name => arrived.context.metadata?.get(name.toLowerCase()) ?? null))
  }
}
