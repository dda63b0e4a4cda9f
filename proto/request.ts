/**
 * What is done to every request when it comes in: its framing is checked down to item boundaries, resource and scope
 * are checked fully, items are counted. What lies inside items is left to whoever reads there.
 */
import { Framer } from './framer.ts'
import type { Group } from './group.ts'
import type { Purse } from './purse.ts'
import type { Signal } from './signals.ts'

/** The groups of a request that have items, and how many they hold together. */
export interface Request {
  readonly groups: Group[]
  readonly items: number
  /** Bytes of memory that were made beside the body: to be charged by whoever gave no purse, to be given back by who did. */
  readonly charged: number
}

/**
 * Reads a request of `signal` from `body`, which the groups then share. What is made of a sender's bytes is paid for from
 * `purse`, and is limited; without one the bytes are our own, or were read before.
 * @throws WireError where the bytes are not what the OTLP schema says, or hold more than one request may
 * @throws NoRoomError where the purse does not pay
 */
export function readRequest(signal: Signal, body: Buffer, purse?: Purse): Request {
  const framer = new Framer(signal, body, purse)
  try {
    framer.run(Infinity)
    return framer
  } catch (error) {
    framer.abandon()
    throw error
  }
}
