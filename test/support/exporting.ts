/** What an exporter needs to run by itself in a test. */
import { Batch } from '../../core/batch.ts'
import { Canceller } from '../../core/cancellation.ts'
import { Budget, budgetKey } from '../../core/budget.ts'
import { finderFor } from '../../core/capability.ts'
import type { Attempt, Exporter, ExporterDefinition, Extension, Sent } from '../../core/component.ts'
import { Delivery } from '../../core/delivery.ts'
import { DeliveryError } from '../../core/errors.ts'
import { Host } from '../../core/host.ts'
import { Lease } from '../../core/lease.ts'
import { without } from '../../core/parts.ts'
import { Status } from '../../core/status.ts'
import { readRequest } from '../../proto/request.ts'
import { allSignals, type Signal } from '../../proto/signals.ts'
import { componentContext } from './contexts.ts'

/** A batch of one request. */
export function batchOf(body: Buffer, signal: Signal = 'traces'): Batch {
  const request = readRequest(signal, body)
  const context = { receiver: 'test', transport: 'test', peer: undefined, metadata: undefined, auth: undefined }
  const lease = new Lease(new Budget(Infinity), 0, request.items)
  return Batch.of(signal, request, context, new Delivery(request.items, undefined), lease)
}

/** An exporter of `definition` with what its schema makes of `config`, and the budget it charges. */
export function exporterOf(
  definition: ExporterDefinition,
  config: unknown,
  signals: readonly Signal[] = allSignals,
  extensions: Readonly<Record<string, Extension>> = {},
): { exporter: Exporter; budget: Budget; status: Status } {
  const budget = new Budget(Infinity)
  const status = new Status()
  status.set('Starting')
  const exporter = definition.create(definition.config.parse(config), {
    ...componentContext({ id: definition.type, status, host: new Host().provide(budgetKey, budget) }),
    extension: finderFor({ id: definition.type }, id => extensions[id]),
    signals: new Set(signals),
  })
  return { exporter, budget, status }
}

/** Every complaint about `config`, as `path: message`. */
export function complaints(definition: ExporterDefinition, config: unknown): string[] {
  const result = definition.config.safeParse(config)
  return result.success ? [] : result.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`)
}

/** The delivery error that `sending` ends with. */
export function refusal(sending: Promise<unknown>): Promise<DeliveryError> {
  return sending.then(
    () => Promise.reject(new Error('the batch was taken')),
    (error: unknown) => (error instanceof DeliveryError ? error : Promise.reject(error as Error)),
  )
}

/** The only attempt of a batch: nobody hears what it settles, and it keeps nothing. */
class OnlyAttempt extends Canceller implements Attempt {
  readonly number = 1
  readonly isSuspect = false

  settle(): void {}

  get memo(): unknown {
    return undefined
  }

  set memo(_: unknown) {}
}

/** One that goes on as far as `signal` lets it. */
export function onlyUntil(signal: AbortSignal): Attempt {
  const attempt = new OnlyAttempt()
  signal.addEventListener('abort', () => attempt.cancel(signal.reason))
  return attempt
}

/** One that is never cancelled. */
export const forever: Attempt = new OnlyAttempt()

/** One that tells `settle` what is settled. */
export const settlingTo = (settle: Attempt['settle']): Attempt => Object.assign(new OnlyAttempt(), { settle })

/** Attempts of one batch, one after the other: what an exporter settles is not in it any more. */
export class Attempts {
  /** What is not settled, and what was. */
  rest: Batch
  readonly settled: { readonly part: Batch; readonly sent: Sent | undefined }[] = []
  /** What is said of the next. */
  isSuspect = false
  #number = 0
  #memo: unknown

  constructor(batch: Batch) {
    this.rest = batch
  }

  send(exporter: Exporter): Promise<Sent | undefined> {
    const settle = (part: Batch, sent?: Sent): void => {
      this.rest = without(this.rest, part)
      this.settled.push({ part, sent })
    }
    const memo = { get: () => this.#memo, set: (given: unknown) => (this.#memo = given) }
    const { isSuspect } = this
    const attempt = Object.assign(new Canceller(), { number: ++this.#number, settle, memo: undefined, isSuspect })
    return exporter.send(this.rest, Object.defineProperty(attempt, 'memo', memo))
  }
}
