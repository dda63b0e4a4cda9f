/** From a line of a file to a batch in the pipelines, again and again until it is taken. */
import { Batch, type Context } from '../../core/batch.ts'
import type { Budget } from '../../core/budget.ts'
import type { ReceiverContext } from '../../core/component.ts'
import { Delivery, type Outcome } from '../../core/delivery.ts'
import { DeliveryError } from '../../core/errors.ts'
import { Lease } from '../../core/lease.ts'
import { BufferPool } from '../../core/pool.ts'
import { jsonToProtobuf } from '../../proto/json-read.ts'
import { type Request, readRequest } from '../../proto/request.ts'
import { type Signal, signals } from '../../proto/signals.ts'
import { WireError } from '../../proto/wire.ts'

/** Waits between two attempts for a line that was refused, in milliseconds. */
const waits = { first: 500, factor: 1.5, longest: 30_000 }
/** Milliseconds between two looks for room in the memory budget. */
const roomInterval = 50
/** Every malformed line is counted; of a file the first few are told, then fewer and fewer. */
const toldAtFirst = 5

const firstKey = /^\s*\{\s*"resource_?(spans|metrics|logs)"/i
const signalOfKey: Readonly<Record<string, Signal>> = { spans: 'traces', metrics: 'metrics', logs: 'logs' }

/** Where lines enter. */
export class LineDoor {
  /** Lines that are passed over, by reason. */
  readonly refusals = { malformed: 0, too_large: 0 }
  readonly #context: ReceiverContext
  readonly #budget: Budget
  readonly #origin: Context
  readonly #stopping: AbortSignal
  readonly #open = new Set<Delivery>()
  readonly #told = new Map<string, number>()

  constructor(context: ReceiverContext, budget: Budget, stopping: AbortSignal) {
    this.#context = context
    this.#budget = budget
    this.#stopping = stopping
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
    for (const delivery of this.#open) {
      delivery.withdraw(new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'the receiver is stopping'))
    }
  }

  /** Waits for room to read a line of `length` bytes, without taking it. */
  async #roomFor(length: number): Promise<boolean> {
    if (!(await this.charge(length))) return false
    this.#budget.release(length)
    return true
  }

  /** What the pipelines said of the line; undefined when there is nothing for them in it. */
  async #push(text: Buffer): Promise<Outcome | undefined> {
    const read = this.#read(text)
    if (read === undefined) return undefined
    const { signal, request, body } = read
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    const delivery = new Delivery(request.items, resolve)
    this.#open.add(delivery)
    const lease = new Lease(this.#budget, BufferPool.cost(body.length), request.items, body)
    this.#context.push(Batch.of(signal, request, this.#origin, delivery, lease))
    return promise.finally(() => this.#open.delete(delivery))
  }

  /** Reads the line as what its first key says, or else as each signal that some pipeline takes. */
  #read(text: Buffer): { signal: Signal; request: Request; body: Buffer } | undefined {
    const key = firstKey.exec(text.toString('latin1', 0, 256))?.[1].toLowerCase()
    const said = key === undefined ? undefined : signalOfKey[key]
    for (const signal of said === undefined ? this.#context.signals : [said]) {
      if (!this.#context.signals.has(signal)) continue
      const found = this.#readAs(signal, text)
      if (found !== undefined) return found
    }
    return undefined
  }

  #readAs(signal: Signal, text: Buffer): { signal: Signal; request: Request; body: Buffer } | undefined {
    const { pool } = this.#budget
    this.#budget.charge(text.length)
    let body: Buffer
    try {
      body = jsonToProtobuf(signals[signal].request, text, pool)
    } finally {
      this.#budget.release(text.length)
    }
    const request = readRequest(signal, body)
    if (request.items === 0) {
      pool.give(body)
      return undefined
    }
    this.#budget.charge(BufferPool.cost(body.length))
    return { signal, request, body }
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
