/** What is not taken at a door, and why. */
import type { LimitKind } from './occupancy.ts'

/**
 * Why a request is not taken: it can never fit; there is no room now; it came too slowly; it is not what it says it is;
 * nobody wants it any more; its sender may not come in; that cannot be told now; it is for something that is not served here; a
 * TLS handshake failed; a limit of the listener. Or, once it is known what is in it: no destination takes it; there is no room in
 * a queue, or on a disk; Kymo is stopping; it could not be delivered, where its sender waits for that.
 */
export type RefusalKind =
  | 'too_large'
  | 'memory'
  | 'slow'
  | 'malformed'
  | 'cancelled'
  | 'denied'
  | 'unready'
  | 'unserved'
  | 'handshake'
  | LimitKind
  | 'rejected'
  | 'queue_full'
  | 'storage'
  | 'stopping'
  | 'undelivered'

/** A request that is not taken. The message is for its sender. */
export interface Refusal {
  readonly kind: RefusalKind
  readonly message: string
  /** How its body began, where that is what is wrong. */
  readonly firstBytes?: Buffer | undefined
}

/** What a request hears for which there is no memory, whoever sends it. */
export const budgetUsedUp = 'the memory budget is used up'
export const noRoom: Refusal = { kind: 'memory', message: `${budgetUsedUp}; retry later` }
