/** From a line of a file to a batch in the pipelines, again and again until it is taken. */
import type { Context } from '../../core/batch.ts'
import type { Budget } from '../../core/budget.ts'
import type { ReceiverContext } from '../../core/component.ts'
import type { Outcome } from '../../core/delivery.ts'
import { Entrance, type Waiting } from '../../core/entrance.ts'
import { DeliveryError } from '../../core/errors.ts'
import { NoRoomError } from '../../proto/purse.ts'
import type { Signal } from '../../proto/signals.ts'
import { WireError } from '../../proto/wire.ts'

/** Waits between two attempts for a line that was refused, in milliseconds. */
const waits = { first: 500, factor: 1.5, longest: 30_000 }
/** Milliseconds between two looks for room in the memory budget. */
const roomInterval = 50
/** Every malformed line is counted; of a file the first few are told, then fewer and fewer. */
const toldAtFirst = 5

const firstKey = /^\s*\{\s*"resource_?(spans|metrics|logs)"/i
const signalOfKey: Readonly<Record<string, Signal>> = { spans: 'traces', metrics: 'metrics', logs: 'logs' }

/** What is heard of a line for which there is no memory: it is tried again. */
const noRoom: Outcome = {
  kind: 'refused',
  error: new DeliveryError('DELIVERY_MEMORY', 'retry', 'the memory budget is used up'),
  retryAfter: 0,
  mayBeSentTwice: 0,
}

/** Where lines enter. */
export class LineDoor {
  /** Lines that are passed over, by reason. */
  readonly refusals = { malformed: 0, too_large: 0 }
  readonly #context: ReceiverContext
  readonly #budget: Budget
  readonly #origin: Context
  readonly #stopping: AbortSignal
  readonly #entrance: Entrance
  readonly #open = new Set<Waiting>()
  readonly #told = new Map<string, number>()

  constructor(context: ReceiverContext, budget: Budget, stopping: AbortSignal) {
    this.#context = context
    this.#budget = budget
    this.#stopping = stopping
    this.#entrance = new Entrance(budget, batch => context.push(batch))
    this.#origin = { receiver: context.id, transport: 'file', peer: undefined, metadata: undefined, auth: undefined }
  }

  /** Resolves to true once the pipelines have ended all of the line, to false when this stopped before. */
  async take(text: Buffer, path: string, line: number): Promise<boolean> {
    for (let wait = waits.first; ; wait = Math.min(wait * waits.factor, waits.longest)) {
      let outcome: Outcome | undefined
      try {
        if (!(await this.#roomFor(text.length))) return false
        outcome = await this.#push(text)
      } catch (error) {
        if (!(error instanceof WireError)) throw error
        this.refuse('malformed', path, line, error.message)
        return true
      }
      if (outcome?.kind !== 'refused') {
        this.#tell(outcome, path, line)
        return true
      }
      this.#context.log.debug(
        { file: path, line, error: outcome.error.message },
        'a line was refused; it is tried again',
      )
      if (!(await this.pause(Math.max(wait, outcome.retryAfter)))) return false
    }
  }

  /** Counts a line that is passed over. */
  refuse(reason: keyof LineDoor['refusals'], path: string, line: number, message: string): void {
    this.refusals[reason]++
    const told = (this.#told.get(path) ?? 0) + 1
    this.#told.set(path, told)
    if (told > toldAtFirst && !Number.isInteger(Math.log10(told))) return
    this.#context.log.warn({ file: path, line, error: message, soFar: told }, `${path}:${line} is passed over`)
  }

  /** Charges `bytes`, or waits until there is room; false when this stopped before. */
  async charge(bytes: number): Promise<boolean> {
    while (!this.#budget.tryCharge(bytes)) if (!(await this.pause(roomInterval))) return false
    return true
  }

  /** Waits; false when this stops. */
  pause(milliseconds: number): Promise<boolean> {
    const stopping = this.#stopping
    if (stopping.aborted) return Promise.resolve(false)
    return new Promise(resolve => {
      const end = (): void => {
        clearTimeout(timer)
        stopping.removeEventListener('abort', end)
        resolve(!stopping.aborted)
      }
      const timer = setTimeout(end, milliseconds)
      stopping.addEventListener('abort', end)
    })
  }

  /** Nobody waits any more for what has not ended. */
  withdraw(): void {
    for (const waiting of this.#open) waiting.onCancel?.()
  }

  /** Waits for room to read a line of `length` bytes, without taking it. */
  async #roomFor(length: number): Promise<boolean> {
    if (!(await this.charge(length))) return false
    this.#budget.release(length)
    return true
  }

  /**
   * What the pipelines said of the line; undefined when there is nothing for them in it. It is read as what its first key
   * says, or else as each signal that some pipeline takes.
   */
  async #push(text: Buffer): Promise<Outcome | undefined> {
    const key = firstKey.exec(text.toString('latin1', 0, 256))?.[1].toLowerCase()
    const said = key === undefined ? undefined : signalOfKey[key]
    for (const signal of said === undefined ? this.#context.signals : [said]) {
      if (!this.#context.signals.has(signal)) continue
      const outcome = await this.#enter(signal, text)
      if (outcome !== undefined) return outcome
    }
    return undefined
  }

  #enter(signal: Signal, text: Buffer): Promise<Outcome | undefined> {
    const waiting: Waiting = { onCancel: undefined }
    const { promise, resolve, reject } = Promise.withResolvers<Outcome | undefined>()
    const arrival = { signal, context: this.#origin, waiting, onEnd: resolve, onMalformed: reject }
    this.#open.add(waiting)
    try {
      // The text stands in the file as well: while it is read both that and what is written are held.
      this.#budget.charge(text.length)
      if (!this.#entrance.enterJson(arrival, text, () => this.#budget.release(text.length))) resolve(undefined)
    } catch (error) {
      if (error instanceof NoRoomError) resolve(noRoom)
      else reject(error)
    }
    return promise.finally(() => this.#open.delete(waiting))
  }

  #tell(outcome: Exclude<Outcome, { kind: 'refused' }> | undefined, path: string, line: number): void {
    const { log } = this.#context
    if (outcome?.kind === 'rejected') {
      log.warn({ file: path, line, error: outcome.reason }, 'a line was rejected by its destination')
    } else if (outcome?.kind === 'partial') {
      const { rejected, reason } = outcome
      log.warn({ file: path, line, rejected, error: reason }, 'a line was rejected in part by its destination')
    }
  }
}
