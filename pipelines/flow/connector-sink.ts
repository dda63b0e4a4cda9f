import type { Batch } from '../../core/batch.ts'
import type { Books, NodeBooks } from '../../core/books.ts'
import { budgetKey } from '../../core/budget.ts'
import type { ComponentContext, Downstream } from '../../core/component.ts'
import type { ConfiguredComponent } from '../../core/configured.ts'
import { DeliveryError } from '../../core/errors.ts'
import type { Journal } from '../../core/journal.ts'
import type { Signal } from '../../proto/signals.ts'
import type { Sink } from '../sending/sink.ts'
import { type Target, type Way, Ways } from './outlet.ts'
import { processorContext } from './processor-context.ts'
import { StepNode } from './step-node.ts'
import { type Tap, tapped, type TapSide } from './tapped.ts'

/**
 * A connector for one pair of signals: the end of some pipelines and the beginning of others. It has no queue: what it
 * emits is taken or refused by the pipelines behind it.
 */
export class ConnectorSink implements Sink {
  readonly id: string
  readonly required = true
  readonly blocks = false
  /** Of a connector that hands on what it takes. */
  readonly behind: Downstream | undefined
  readonly books: NodeBooks
  readonly #step: StepNode
  /** The step, and who looks on in front of it. */
  #in: Target
  readonly #derives: boolean
  readonly #listeners = new Set<() => void>()
  readonly #ways: Ways
  #unhear: (() => void)[] = []

  constructor(
    { id, definition, config }: ConfiguredComponent<'connector'>,
    signals: { readonly from: Signal; readonly to: Signal },
    context: ComponentContext,
    process: { readonly books: Books; readonly journal: Journal },
  ) {
    const { from, to } = signals
    this.id = id
    this.#derives = definition.derives ?? from !== to
    this.books = process.books.node({ kind: 'connector', id, pipeline: `${from} to ${to}`, signal: to })
    const downstream = (this.#ways = new Ways(this.books))
    this.behind = this.#derives ? undefined : downstream
    const place = { id, signal: from, downstream, apart: () => [] }
    this.#step = new StepNode({
      books: this.books,
      hold: definition.hold,
      longest: definition.longest?.(config as never),
      journal: process.journal,
      make: () =>
        definition.create(config as never, {
          ...context,
          ...processorContext(this.#step, place),
          emits: to,
          consume: batch => this.#step.consume(batch),
        }),
      clock: context.clock,
      log: context.log,
      status: context.status,
      downstream,
      budget: () => context.host.get(budgetKey),
    })
    this.#step.connect(this.#ways)
    this.#in = this.#step
  }

  /** These look at what it is handed, or hands on, from now on, and no others. */
  tap(side: TapSide, taps: readonly Tap[]): void {
    if (side === 'in') this.#in = tapped(taps, this.#step)
    else this.#step.connect(tapped(taps, this.#ways))
  }

  /** Hands on to these pipelines from now on. */
  connect(ways: readonly Way[]): void {
    for (const unhear of this.#unhear) unhear()
    this.#ways.set(ways)
    const opened = (): void => {
      for (const listener of this.#listeners) listener()
    }
    this.#unhear = ways.map(way => way.onRoom(opened))
  }

  start(): void {
    this.#step.start()
  }

  async stop(deadline: number): Promise<void> {
    await this.#step.stop(deadline)
    for (const unhear of this.#unhear.splice(0)) unhear()
  }

  /** What it hands on as it is needs room behind it: there may be nobody left who could send it again. */
  reserve(): DeliveryError | undefined {
    if (this.#derives || !this.#ways.closed) return undefined
    return new DeliveryError('DELIVERY_QUEUE_FULL', 'retry', `a pipeline behind connector ${this.id} is full`)
  }

  cancel(): void {}

  take(batch: Batch, done: () => void): void {
    this.#in.push(batch)
    done()
  }

  onRoom(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
