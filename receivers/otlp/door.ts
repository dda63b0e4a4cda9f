/** From the bytes of a request to batches in the pipelines, whatever protocol brought them. */
import type { Budget } from '../../core/budget.ts'
import type { ReceiverContext } from '../../core/component.ts'
import { type Arrival, Entrance } from '../../core/entrance.ts'

/** Where requests of one receiver enter. */
export class Door {
  readonly #entrance: Entrance
  readonly #budget: Budget

  constructor(context: ReceiverContext, budget: Budget) {
    this.#entrance = new Entrance(budget, batch => context.push(batch))
    this.#budget = budget
  }

  /**
   * Pushes what `body` holds, which nobody else may read any more and whose `charge` is taken over. The arrival hears the
   * outcome, later. Returns false when the request is empty, which is success.
   * @throws WireError when the body is no request of the signal
   * @throws NoRoomError when there is no room for what is made of it
   */
  enter(arrival: Arrival, body: Buffer, charge: number): boolean {
    return this.#entrance.enter(arrival, body, charge)
  }

  /** The same for a `text` in OTLP/JSON. */
  enterJson(arrival: Arrival, text: Buffer, charge: number): boolean {
    const budget = this.#budget
    return this.#entrance.enterJson(arrival, text, () => {
      budget.release(charge)
      budget.pool.give(text)
    })
  }
}
