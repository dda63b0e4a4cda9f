/** The shapes most steps have. */
import { Observable } from 'rxjs'
import type { Batch } from '../core/batch.ts'
import type { ProcessorContext, Step } from '../core/component.ts'
import { DeliveryError, messageOf } from '../core/errors.ts'

/**
 * A stateless step: `visit` is called for each batch and returns what goes on, or undefined when it has ended all of it.
 * A throw refuses that batch and no other.
 */
export function each(context: ProcessorContext, visit: (batch: Batch) => Batch | undefined): Step {
  return source =>
    new Observable<Batch>(subscriber =>
      source.subscribe({
        next: batch => {
          let result: Batch | undefined
          try {
            result = visit(batch)
          } catch (error) {
            context.log.error({ error: messageOf(error), items: batch.items }, 'step failed; the batch is refused')
            context.refuse(
              batch,
              new DeliveryError('DELIVERY_STEP_FAILED', 'retry', `${context.id}: ${messageOf(error)}`, {
                cause: error,
              }),
            )
            return
          }
          if (result !== undefined) subscriber.next(result)
        },
        error: error => subscriber.error(error),
        complete: () => subscriber.complete(),
      }),
    )
}
