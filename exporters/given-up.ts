import { DeliveryError } from '../core/errors.ts'

/**
 * Why one of several requests that a batch is sent in is given up, when others were taken, so that the batch can no longer be cut;
 * undefined where it is to be tried again. `isSuspect`: it failed again and again while other batches were taken.
 */
export function givenUpFor(error: unknown, isSuspect: boolean): string | undefined {
  if (!(error instanceof DeliveryError)) return undefined
  if (error.kind === 'rejected' || error.kind === 'too_large') return 'rejected'
  return isSuspect && error.kind === 'retry' ? 'suspect' : undefined
}
