import type { Batch } from '../../core/batch.ts'
import type { Exporter, Sent } from '../../core/component.ts'
import { DeliveryError, messageOf } from '../../core/errors.ts'

/** Hears how an attempt ended, once, and the milliseconds it took. */
export type AttemptEnd = (failure: DeliveryError | undefined, sent: Sent | undefined, took: number) => void

/**
 * Sends a batch once. `end` is called after this returned, at the latest `timeout` milliseconds from now (0: no limit);
 * aborting what is returned makes the exporter give up.
 */
export function attempt(exporter: Exporter, batch: Batch, timeout: number, end: AttemptEnd): AbortController {
  const abort = new AbortController()
  const began = performance.now()
  let late: DeliveryError | undefined
  let ended = false
  const finish = (failure: DeliveryError | undefined, sent: Sent | undefined): void => {
    if (ended) return
    ended = true
    clearTimeout(timer)
    end(failure, sent, performance.now() - began)
  }
  const fail = (error: unknown): void =>
    finish(error instanceof DeliveryError ? error : (late ?? asDeliveryError(error)), undefined)
  const expire = (): void => {
    batch.keepFromPool()
    late = new DeliveryError('DELIVERY_TIMEOUT', 'retry', `no answer within ${timeout} ms`, { maybeTaken: true })
    abort.abort(late)
    // The exporter knows more: whether anything was sent, and where to. It has this turn to say so.
    setImmediate(() => finish(late, undefined))
  }
  const timer = timeout > 0 ? setTimeout(expire, timeout) : undefined
  try {
    exporter.send(batch, abort.signal).then(sent => finish(undefined, sent), fail)
  } catch (error) {
    queueMicrotask(() => fail(error))
  }
  return abort
}

/** Anything that is no DeliveryError is taken as worth a retry: nothing is lost by it. */
function asDeliveryError(error: unknown): DeliveryError {
  return new DeliveryError('INTERNAL', 'retry', error === undefined ? 'failed' : messageOf(error), { cause: error })
}
