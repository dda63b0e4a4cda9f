import type { Batch } from '../core/batch.ts'
import type { Books, NodeBooks } from '../core/books.ts'
import type { ComponentContext } from '../core/component.ts'
import type { Journal } from '../core/journal.ts'
import type { ConfiguredComponent, ConfiguredPipeline } from '../core/configured.ts'
import type { Signal } from '../proto/signals.ts'
import type { Sink } from './destination.ts'
import { type Pipeline, type Way, pushAll } from './pipeline.ts'
import { processorContext, StepNode } from './step-node.ts'

/**
 * A connector for one pair of signals: the end of some pipelines and the beginning of others. It has no queue: what it
 * emits is taken or refused by the pipelines behind it.
 */
export class ConnectorSink implements Sink {
  readonly id: string
  readonly required = true
  readonly blocks = false
  readonly accepts = false
  readonly books: NodeBooks
  /** Pipelines that end in it. */
  readonly sources = new Set<string>()
  readonly #targets: readonly ConfiguredPipeline[]
  readonly #step: StepNode
  readonly #derives: boolean
  readonly #listeners: (() => void)[] = []
  #ways: readonly Way[] = []

  constructor(
    { id, definition, config }: ConfiguredComponent<'connector'>,
    signals: { from: Signal; to: Signal },
    pipelines: readonly ConfiguredPipeline[],
    context: ComponentContext,
    process: { readonly books: Books; readonly journal: Journal },
  ) {
    const { from, to } = signals
    this.id = id
    this.#derives = definition.derives ?? false
    this.#targets = pipelines.filter(pipeline => pipeline.signal === to && pipeline.receivers.includes(id))
    this.books = process.books.node({ kind: 'connector', id, pipeline: `${from} to ${to}`, signal: to })
    // What it emits waits in the pipelines behind it, which say themselves whether they are busy.
    const place = { id, signal: from, downstream: { inFlight: 0, onIdle: () => () => {} } }
    this.#step = new StepNode({
      books: this.books,
      hold: definition.hold,
      journal: process.journal,
      make: () =>
        definition.create(config as never, {
          ...context,
          ...processorContext(this.#step, place),
          emits: to,
          consume: batch => this.#step.consume(batch),
        }),
      log: context.log,
      status: context.status,
    })
  }

  /** Joins it to the pipelines behind it. */
  connect(pipelineOf: (id: string) => Pipeline): void {
    this.#ways = this.#targets.map(target => pipelineOf(target.id).entrance(this.books))
    const opened = (): void => {
      for (const listener of this.#listeners) listener()
    }
    for (const way of this.#ways) way.onOpen(opened)
    this.#step.connect({ push: batch => pushAll(this.#ways, batch) }, undefined)
  }

  start(): void {
    this.#step.start()
  }

  stop(deadline: number): Promise<void> {
    return this.#step.stop(deadline)
  }

  feeds(pipeline: string): boolean {
    return this.#targets.some(target => target.id === pipeline)
  }

  /** What it hands on as it is needs room behind it: there may be nobody left who could send it again. */
  reserve(): boolean {
    return this.#derives || !this.#ways.some(way => way.closed())
  }

  cancel(): void {}

  take(batch: Batch, done: () => void): void {
    this.#step.push(batch)
    done()
  }

  onRoom(listener: () => void): void {
    this.#listeners.push(listener)
  }
}
