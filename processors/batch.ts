import * as z from 'zod'
import { Account } from '../core/account.ts'
import { budgetKey } from '../core/budget.ts'
import { apartKey, headersApart } from '../core/apart.ts'
import type { Timer } from '../core/clock.ts'
import { defineProcessor, type ProcessorContext } from '../core/component.ts'
import { DeliveryError } from '../core/errors.ts'
import { duration, int, texts } from '../core/fields.ts'
import type { Held, Holder } from '../core/holding.ts'
import type { Touch } from '../core/touch.ts'
import { holding } from './steps.ts'

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
  runs: 'each',
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

  create: (settings, context) => holding(context, new Shards(settings, context)),
})

/** Least milliseconds between two batches while several senders are busy, unless size or timeout say otherwise. */
const pace = 2

/** What is gathered for one combination of metadata. */
interface Shard {
  held: Held[]
  items: number
  timer: Timer | undefined
}

/** Bytes that a combination takes: its text, its timer, and the batches it keeps apart. */
const costOf = (key: string): number => 1000 + 2 * key.length

/**
 * In parts of `most` items, of which only the last has fewer. Cut in the middle first: a cut copies what is behind it, and
 * done from the front many parts would take the square of their number.
 */
function partsOf(held: Held, most: number): readonly Held[] {
  if (held.items <= most) return [held]
  const [head, rest] = held.cut(most * Math.ceil(held.items / most / 2))
  return rest === undefined ? [head] : [...partsOf(head, most), ...partsOf(rest, most)]
}

class Shards implements Holder {
  readonly #config: Config
  readonly #context: ProcessorContext
  readonly #shards = new Map<string, Shard>()
  /** What combinations of metadata take. */
  readonly #account: Account
  #soon: Timer | undefined
  /** Whether the last batch was made of several requests, and when it left. */
  #crowded = false
  #flushedAt = 0

  constructor(settings: Config, context: ProcessorContext) {
    this.#config = settings
    this.#context = context
    this.#account = new Account(context.host.find(budgetKey), 'processor', context.id)
  }

  take(held: Held): void {
    const key = this.#keyOf(held)
    const shard = this.#shards.get(key) ?? this.#open(key)
    if (shard instanceof DeliveryError) return held.refuse(shard)
    shard.held.push(held)
    shard.items += held.items
    const { send_batch_size, timeout } = this.#config
    if (timeout === 0 || (send_batch_size > 0 && shard.items >= send_batch_size)) this.#flush(key, shard)
    else if (this.#context.holding.inFlight === 0) this.idle()
    else shard.timer ??= this.#context.clock.after(timeout, () => this.#flush(key, shard))
  }

  /** One more combination, where there is room for it. */
  #open(key: string): Shard | DeliveryError {
    const { id } = this.#context
    const limit = this.#config.metadata_cardinality_limit
    if (key !== '' && limit > 0 && this.#shards.size >= limit) {
      const text = `${id}: more than ${limit} combinations of \`metadata_keys\``
      return new DeliveryError('DELIVERY_BUSY', 'retry', text)
    }
    if (key !== '' && !this.#account.grow(costOf(key))) {
      const text = `${id}: no memory for one more combination of \`metadata_keys\``
      return new DeliveryError('DELIVERY_MEMORY', 'retry', text)
    }
    const shard = { held: [], items: 0, timer: undefined }
    this.#shards.set(key, shard)
    return shard
  }

  flush(): void {
    for (const [key, shard] of this.#shards) this.#flush(key, shard)
  }

  /** Gathering frees nothing, sending does. */
  pressure(_bytes: number, mayEmit: boolean): void {
    if (mayEmit) this.flush()
  }

  stop(): void {
    this.#account.close()
  }

  /**
   * At the end of this turn, so that what arrived together goes out together. After a batch of several requests more are
   * on their way: then not sooner than `pace` after that one. A lone sender is never kept waiting.
   */
  idle(): void {
    if (this.#shards.size === 0 || this.#soon !== undefined) return
    const { clock } = this.#context
    const wait = this.#crowded ? this.#flushedAt + pace - clock.now() : 0
    const flush = (): void => {
      this.#soon = undefined
      this.flush()
    }
    this.#soon = wait <= 0 ? clock.soon(flush) : clock.after(wait, flush)
  }

  #flush(key: string, shard: Shard): void {
    if (this.#shards.get(key) !== shard) return
    this.#shards.delete(key)
    if (key !== '') this.#account.shrink(costOf(key))
    shard.timer?.cancel()
    this.#crowded = shard.held.length > 1
    this.#flushedAt = this.#context.clock.now()
    const whole = this.#context.holding.join(shard.held)
    for (const part of partsOf(whole, this.#config.send_batch_max_size || Infinity)) part.emit('alone')
  }

  #keyOf({ origin }: Held): string {
    const keys = headersApart(this.#config.metadata_keys)
    return apartKey([...new Set([...keys, ...this.#context.apart()])], origin)
  }
}
