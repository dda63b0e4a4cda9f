/** From the bytes of a request to batches in the pipelines, whatever protocol brought them. */
import type { Context } from '../../core/batch.ts'
import type { Budget } from '../../core/budget.ts'
import type { ReceiverContext } from '../../core/component.ts'
import type { Outcome } from '../../core/delivery.ts'
import { Entrance, type Waiting } from '../../core/entrance.ts'
import type { Signal } from '../../proto/signals.ts'

/** Where requests of one receiver enter. */
export class Door {
  readonly #entrance: Entrance
  readonly #budget: Budget

  constructor(context: ReceiverContext, budget: Budget) {
    this.#entrance = new Entrance(budget, batch => context.push(batch))
    this.#budget = budget
  }

  /**
   * Pushes what `body` holds, which nobody else may read any more and whose `charge` is taken over. `onEnd` hears the
   * outcome, later. Returns false when the request is empty, which is success.
   * @throws WireError when the body is no request of the signal
   * @throws NoRoomError when there is no room for what is made of it
   */
  enter(
    signal: Signal,
    body: Buffer,
    charge: number,
    context: Context,
    waiting: Waiting,
    onEnd: (outcome: Outcome) => void,
  ): boolean {
    return this.#entrance.enter({ signal, context, waiting, onEnd }, body, charge)
  }

  /** The same for a `text` in OTLP/JSON. */
  enterJson(
    signal: Signal,
    text: Buffer,
    charge: number,
    context: Context,
    waiting: Waiting,
    onEnd: (outcome: Outcome) => void,
  ): boolean {
    const budget = this.#budget
    return this.#entrance.enterJson({ signal, context, waiting, onEnd }, text, () => {
      budget.release(charge)
      budget.pool.give(text)
    })
  }
}
