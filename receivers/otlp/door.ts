/** From the bytes of a request to a batch in the pipelines, whatever protocol brought them. */
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

/** A sender that waits, and can be told to stop waiting. */
export interface Waiting {
  onCancel: (() => void) | undefined
}

/** Where requests of one receiver enter. */
export class Door {
  readonly #context: ReceiverContext
  readonly #budget: Budget

  constructor(context: ReceiverContext, budget: Budget) {
    this.#context = context
    this.#budget = budget
  }

  /**
   * Pushes what `body` holds, which nobody else may read any more and whose `charge` is taken over. `onEnd` hears the
   * outcome, later. Returns false when the request is empty, which is success.
   * @throws WireError when the body is no request of the signal
   */
  enter(
    signal: Signal,
    body: Buffer,
    charge: number,
    context: Context,
    waiting: Waiting,
    onEnd: (outcome: Outcome) => void,
  ): boolean {
    let request: Request
    try {
      request = readRequest(signal, body)
    } catch (error) {
      this.#letGo(body, charge)
      throw error
    }
    const { items } = request
    if (items === 0) {
      this.#letGo(body, charge)
      return false
    }
    const delivery = new Delivery(items, onEnd)
    waiting.onCancel = () => delivery.withdraw(gaveUp())
    this.#context.push(Batch.of(signal, request, context, delivery, new Lease(this.#budget, charge, items, body)))
    return true
  }

  /**
   * The request that `text` is as OTLP/JSON, and the charge for it; undefined when there is no room to read it. Takes over
   * `text`, which nobody else may read any more, and its `charge`.
   * @throws WireError when the text is no request of the signal
   */
  fromJson(signal: Signal, text: Buffer, charge: number): { body: Buffer; charge: number } | undefined {
    const budget = this.#budget
    // What is written meanwhile has room for as much as the text is long.
    const scratch = BufferPool.cost(text.length)
    if (!budget.tryCharge(scratch)) {
      this.#letGo(text, charge)
      return undefined
    }
    try {
      const body = jsonToProtobuf(signals[signal].request, text, budget.pool)
      const cost = BufferPool.cost(body.length)
      budget.charge(cost)
      return { body, charge: cost }
    } finally {
      budget.release(scratch)
      this.#letGo(text, charge)
    }
  }

  #letGo(body: Buffer, charge: number): void {
    this.#budget.release(charge)
    this.#budget.pool.give(body)
  }
}

function gaveUp(): DeliveryError {
  return new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'the sender gave up waiting')
}
