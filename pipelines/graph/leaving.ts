/** What a new configuration has no place for: it finishes what it has begun, within a deadline, while the rest goes on. */
import { waitUntil } from '../../core/clock.ts'
import type { NodeBooks } from '../../core/books.ts'
import type { Logger } from '../../core/logger.ts'
import type { Signal } from '../../proto/signals.ts'
import type { Destination } from '../sending/destination.ts'
import type { Sink } from '../sending/sink.ts'
import {
  type ConnectorPart,
  type ExporterPart,
  type ExtensionPart,
  type Part,
  type ReceiverPart,
  stopPart,
} from './part.ts'
import type { Pipeline } from '../flow/pipeline.ts'
import type { StepNode } from '../flow/step-node.ts'

/** Parts that leave. */
export interface LeavingParts {
  readonly receivers: readonly ReceiverPart[]
  /** Steps that leave pipelines that stay. */
  readonly steps: ReadonlyMap<Pipeline, readonly StepNode[]>
  /** Pipelines that leave, each before those it feeds. */
  readonly pipelines: ReadonlyMap<Pipeline, readonly StepNode[]>
  readonly connectors: readonly ConnectorPart[]
  readonly exporters: readonly ExporterPart[]
  /** Of those, destinations whose queue another one has taken over. */
  readonly adopted: ReadonlySet<Destination>
  readonly extensions: readonly ExtensionPart[]
}

/** What it is to know of the graph. */
export interface AroundLeaving {
  readonly log: Logger
  /** All pipelines that are none any more and may still have something. */
  ending(): readonly Pipeline[]
  /** Handed a receiver that has stopped. */
  stopped(receiver: ReceiverPart): void
}

/** How often a look is taken at what waits for room, in milliseconds. */
const lookEvery = 20

/** Resolves with `promise`, or at `end`. */
export async function until(promise: Promise<unknown> | undefined, end: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise(resolve => (timer = setTimeout(resolve, waitUntil(end))))
  await Promise.race([promise, late])
  clearTimeout(timer)
}

/** Resolves when nothing waits at the end of these pipelines for room, or a little before `end`: sending takes time, too. */
export async function roomFor(pipelines: () => readonly Pipeline[], end: number): Promise<void> {
  const last = end - (end - Date.now()) / 10
  while (Date.now() < last && pipelines().some(pipeline => pipeline.waiting > 0)) {
    await new Promise(resolve => setTimeout(resolve, lookEvery))
  }
}

/** One configuration's parts on their way out. */
export class Leaving {
  readonly #parts: LeavingParts
  readonly #around: AroundLeaving
  readonly #running: Set<ReceiverPart>
  #isOver = false
  /** Resolves when all has ended. */
  over: Promise<void> = Promise.resolve()
  /** Resolves when nothing of it hands anything on any more. */
  front: Promise<void> = Promise.resolve()

  constructor(parts: LeavingParts, around: AroundLeaving) {
    this.#parts = parts
    this.#around = around
    this.#running = new Set(parts.receivers)
  }

  /** Whether an instance of this receiver has not stopped yet. */
  receives(id: string): boolean {
    return [...this.#running].some(receiver => receiver.id === id)
  }

  /** Those that pages still show. */
  get components(): readonly Part[] {
    const { receivers, exporters, extensions } = this.#parts
    return [...receivers, ...exporters, ...extensions]
  }

  get pipelines(): readonly Pipeline[] {
    return [...this.#parts.pipelines.keys()]
  }

  /** A destination that still sends. */
  destination(id: string, signal: Signal): Destination | undefined {
    return this.#parts.exporters.find(exporter => exporter.id === id)?.destinations.get(signal)
  }

  get destinations(): readonly Destination[] {
    return this.#parts.exporters.flatMap(({ destinations }) => [...destinations.values()])
  }

  /** Accounts of what is not over yet. */
  get nodes(): readonly NodeBooks[] {
    const { receivers, steps, pipelines, connectors } = this.#parts
    return [
      ...receivers.flatMap(({ books }) => books),
      ...[...steps.values(), ...pipelines.values()].flat().map(({ books }) => books),
      ...connectors.map(({ sink }) => sink.books),
      ...this.destinations.map(({ books }) => books),
    ]
  }

  /**
   * Ends all of it, from the front to the back, at `end` at the latest (milliseconds since the epoch). `earlier` are the
   * fronts of what left before and still does: it may end in what leaves now.
   */
  run(end: number, earlier: readonly Promise<void>[]): Promise<void> {
    this.front = this.#runFront(end, earlier)
    this.over = this.#run(end)
    return this.over
  }

  async #runFront(end: number, earlier: readonly Promise<void>[]): Promise<void> {
    const { receivers, steps } = this.#parts
    await Promise.all([
      ...receivers.map(part => this.#stopReceiver(part, end)),
      ...[...steps].map(([pipeline, gone]) => pipeline.retire(gone, end)),
      until(Promise.all(earlier), end),
    ])
    await this.#stopPipelines(end)
  }

  async #run(end: number): Promise<void> {
    const { adopted, exporters, extensions } = this.#parts
    const { log } = this.#around
    const replaced = this.destinations.filter(one => adopted.has(one)).map(one => one.stop(end))
    await this.front
    await Promise.all([
      ...replaced,
      ...this.destinations.filter(one => !adopted.has(one)).map(one => this.#drain(one, end)),
    ])
    await Promise.all(exporters.map(part => stopPart(part, end, log)))
    await Promise.all(extensions.map(part => stopPart(part, end, log)))
    this.#isOver = true
  }

  /** There is no more time: what is left is given up. */
  async giveUp(): Promise<void> {
    if (this.#isOver) return
    const { steps, pipelines } = this.#parts
    const now = Date.now()
    const all = [...steps.values(), ...pipelines.values()].flat()
    await Promise.all(all.map(step => step.stop(now)))
    for (const pipeline of this.pipelines) pipeline.stopFanOut()
    await Promise.all(this.destinations.map(one => one.stop(now)))
  }

  async #stopReceiver(part: ReceiverPart, end: number): Promise<void> {
    await stopPart(part, end, this.#around.log)
    this.#running.delete(part)
    this.#around.stopped(part)
  }

  async #stopPipelines(end: number): Promise<void> {
    const { pipelines, connectors } = this.#parts
    const open = new Set(pipelines.keys())
    const running = new Set(connectors)
    const stopConnectors = async (): Promise<void> => {
      for (const connector of running) {
        if ([...open].some(pipeline => pipeline.sinks.includes(connector.sink))) continue
        running.delete(connector)
        await connector.sink.stop(end)
      }
    }
    for (const [pipeline, steps] of pipelines) {
      await stopConnectors()
      await pipeline.retire(steps, end)
      // What waits at its end goes through connectors that are stopped next.
      await roomFor(() => [pipeline], end)
      open.delete(pipeline)
    }
    await stopConnectors()
    const mine = new Set<Sink>([...this.destinations, ...connectors.map(({ sink }) => sink)])
    const ending = () => this.#around.ending().filter(pipeline => pipeline.sinks.some(sink => mine.has(sink)))
    await roomFor(ending, end)
    for (const pipeline of ending()) {
      // What waits for others besides may wait on.
      const staying = pipeline.sinks.filter(sink => !mine.has(sink))
      if (staying.length > 0 && pipeline.waiting > 0) pipeline.exchange(staying)
      else pipeline.stopFanOut()
    }
  }

  async #drain(destination: Destination, end: number): Promise<void> {
    await destination.drain(end)
    await destination.stop(end)
  }
}
