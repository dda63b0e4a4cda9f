import * as z from 'zod'
import { Account } from '../core/account.ts'
import { budgetKey } from '../core/budget.ts'
import { defineProcessor, type ProcessorContext } from '../core/component.ts'
import { DeliveryError } from '../core/errors.ts'
import { duration, int, texts } from '../core/fields.ts'
import { Gatherer, type GatherSettings, gatheringText, inParts, keyOf } from '../core/gathering.ts'
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

/** What its keys mean. */
function gatheringOf(config: Config): GatherSettings {
  return {
    least: config.send_batch_size || Infinity,
    most: config.send_batch_max_size,
    sizer: 'items',
    timeout: config.timeout,
    keys: config.metadata_keys,
    mostKeys: config.metadata_cardinality_limit,
  }
}

export const batch = defineProcessor({
  type: 'batch',
  stability: 'beta',
  runs: 'each',
  summary:
    'Gathers items into larger batches, until size or timeout; at once where senders wait and nothing is being sent.',
  signals: ['traces', 'metrics', 'logs'],
  hold: 'flush',
  config,
  examples: [
    { title: 'The defaults', config: {} },
    { title: 'Large batches, one per tenant', config: { send_batch_size: 20000, metadata_keys: ['x-tenant'] } },
  ],

  touches(settings): Touch[] {
    const { metadata_keys, send_batch_max_size } = settings
    const apart = metadata_keys.map(name => `metadata.${name.toLowerCase()}`)
    const touches: Touch[] = apart.map(what => ({ depth: 'request', does: 'reads', key: 'metadata_keys', what }))
    touches.push({
      depth: 'request',
      does: 'moves',
      key: 'send_batch_size',
      what: gatheringText(gatheringOf(settings)),
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

  gathers: gatheringOf,

  create: (settings, context) => holding(context, new Batching(gatheringOf(settings), context)),
})

/** Bytes that a combination takes: its text, its timer, and the batches it keeps apart. */
const costOf = (key: string): number => 1000 + 2 * key.length

/** Keeps what comes until it leaves. */
class Batching implements Holder {
  readonly #context: ProcessorContext
  readonly #gathering: GatherSettings
  readonly #gatherer: Gatherer<Held>
  /** What combinations of metadata take. */
  readonly #account: Account

  constructor(gathering: GatherSettings, context: ProcessorContext) {
    const { clock, holding: port } = context
    this.#context = context
    this.#gathering = gathering
    this.#account = new Account(context.host.find(budgetKey), 'processor', context.id)
    this.#gatherer = new Gatherer(gathering, {
      clock,
      isIdle: () => port.inFlight === 0,
      isAwaited: () => port.isAwaited,
      sizeOf: held => held.items,
      flushed: (held, key) => this.#emit(held, key),
    })
  }

  take(held: Held): void {
    const key = keyOf(this.#gathering, held.origin, this.#context.apart())
    const full = this.#gatherer.has(key) ? undefined : this.#open(key)
    if (full === undefined) this.#gatherer.add(key, held)
    else held.refuse(full)
  }

  /** Makes room for one more combination, or says why there is none. */
  #open(key: string): DeliveryError | undefined {
    const { id } = this.#context
    const { mostKeys } = this.#gathering
    if (key === '') return undefined
    if (mostKeys > 0 && this.#gatherer.combinations >= mostKeys) {
      const text = `${id}: more than ${mostKeys} combinations of \`metadata_keys\``
      return new DeliveryError('DELIVERY_BUSY', 'retry', text)
    }
    if (this.#account.grow(costOf(key))) return undefined
    const text = `${id}: no memory for one more combination of \`metadata_keys\``
    return new DeliveryError('DELIVERY_MEMORY', 'retry', text)
  }

  flush(): void {
    this.#gatherer.flush()
  }

  /** Gathering frees nothing, sending does. */
  pressure(_bytes: number, mayEmit: boolean): void {
    if (mayEmit) this.#gatherer.flush()
  }

  stop(): void {
    this.#account.close()
  }

  idle(): void {
    this.#gatherer.idle()
  }

  #emit(held: readonly Held[], key: string): void {
    if (key !== '') this.#account.shrink(costOf(key))
    const whole = this.#context.holding.join(held)
    for (const part of inParts(whole, this.#gathering.most || Infinity)) part.emit('alone')
  }
}
