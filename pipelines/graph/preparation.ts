/**
 * A configuration on its way to run: what can fail is made and opened beside what runs, which goes on as it is. Nothing of it
 * takes data, and nothing it touches is anybody else's, until it is run; until then it can be given up without a trace.
 */
import type { Lifecycle } from '../../core/component.ts'
import type { RunningComponent } from '../../core/health.ts'
import type { Logger } from '../../core/logger.ts'
import type { Listeners } from '../../net/listeners.ts'
import type { Signal } from '../../proto/signals.ts'
import type { Destination } from '../sending/destination.ts'
import type { Assembly } from './assembly.ts'
import { handOn } from './hand-on.ts'
import { type Part, type ReceiverPart, runPart, startPart, stopPart } from './part.ts'

/** How long what was opened for nothing has to stop, in milliseconds. */
const retreat = 5000

/** What it is to know of the graph. */
export interface AroundPreparation {
  readonly log: Logger
  readonly listeners: Listeners | undefined
  /** Components that do not go on as they are: their ports may be taken over. */
  readonly going: ReadonlySet<string>
  isStopping(): boolean
  /** Who has what is to be sent by `exporter`. */
  predecessor(exporter: string, signal: Signal): Destination | undefined
  /** Handed a receiver that has stopped. */
  stopped(receiver: ReceiverPart): void
}

/** See above. */
export class Preparation {
  readonly next: Assembly
  readonly #around: AroundPreparation
  #isOver = false
  #opening: Promise<void> | undefined
  #abandoned: Promise<void> | undefined

  constructor(next: Assembly, around: AroundPreparation) {
    this.next = next
    this.#around = around
  }

  /** @throws Error of what cannot be made or opened: then nothing is left of it */
  async open(): Promise<void> {
    this.#around.listeners?.stage(this.#around.going)
    this.#opening = this.#open()
    try {
      await this.#opening
    } catch (error) {
      await this.abandon()
      throw error
    }
  }

  /** From the back to the front. */
  async #open(): Promise<void> {
    const { next } = this
    next.build()
    await this.#start([...this.#fresh(next.extensions), ...this.#fresh(next.exporters)])
    for (const { id, destinations } of this.#fresh(next.exporters)) {
      for (const [signal, destination] of destinations) {
        const old = this.#around.predecessor(id, signal)
        if (old === undefined || !destination.inherits(old)) destination.open()
      }
    }
    await this.#start(this.#fresh(next.receivers))
    this.#ensureRunning()
  }

  async #start(parts: readonly Part[]): Promise<void> {
    for (const part of parts) {
      this.#ensureRunning()
      await startPart(part)
    }
  }

  #ensureRunning(): void {
    if (this.#around.isStopping()) throw new Error('the process is stopping')
  }

  /** What exporters know goes from those of `previous` to their heirs. @throws Error when it is too late to run it */
  handOver(previous: Assembly): void {
    if (this.#isOver) throw new Error('this configuration runs already, or was given up')
    this.#isOver = true
    for (const part of this.#fresh(this.next.exporters)) {
      const before = previous.exporters.get(part.id)
      if (before !== undefined) handOn(before, part, this.#around.log)
    }
  }

  /** All is joined: from now on it runs. */
  run(): void {
    const { extensions, exporters, receivers } = this.next
    const { listeners, log } = this.#around
    listeners?.commit()
    const run = (parts: readonly Part[]): void => parts.forEach(part => runPart(part, log))
    run([...this.#fresh(extensions), ...this.#fresh(exporters)])
    for (const { destinations } of this.#fresh(exporters)) for (const one of destinations.values()) one.begin()
    run(this.#fresh(receivers))
  }

  /** Stops and closes what was opened. Nothing is left of it, unless it runs. */
  abandon(): Promise<void> {
    if (this.#isOver) return this.#abandoned ?? Promise.resolve()
    this.#isOver = true
    return (this.#abandoned = this.#abandon())
  }

  async #abandon(): Promise<void> {
    const { listeners, stopped } = this.#around
    await this.#opening?.catch(() => {})
    listeners?.abort()
    const end = Date.now() + retreat
    const stop = (part: Part): Promise<void> => stopPart(part, end, this.#around.log)
    const receivers = this.#fresh(this.next.receivers)
    await Promise.all(receivers.map(part => stop(part).then(() => stopped(part))))
    const exporters = this.#fresh(this.next.exporters)
    for (const { destinations } of exporters)
      await Promise.all([...destinations.values()].map(one => one.stop(Date.now())))
    await Promise.all(exporters.map(stop))
    await Promise.all(this.#fresh(this.next.extensions).map(stop))
  }

  #fresh<T extends RunningComponent & { readonly lifecycle: Lifecycle }>(parts: ReadonlyMap<string, T>): T[] {
    return [...parts.values()].filter(one => this.next.fresh.has(one))
  }
}
