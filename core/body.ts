import type { Batch } from './batch.ts'
import type { Budget } from './budget.ts'

/** A body in flight, and how many sends use it. */
export interface SharedBody {
  readonly body: Buffer | Promise<Buffer>
  users: number
  charged: number
  /** One of the sends failed. */
  failed: boolean
}

/**
 * Sends a batch as one joined, framed, compressed body. It is made once per batch and encoding, however many destinations
 * send it at the same time; it exists, and is charged, while it is in flight.
 * @param encoding names everything that the bytes depend on, besides the batch
 * @param make may take its memory from the budget's pool; it goes back there once all sends have succeeded
 */
export async function sendBody<T>(
  batch: Batch,
  encoding: string,
  budget: Budget | undefined,
  make: () => Buffer | Promise<Buffer>,
  send: (body: Buffer) => Promise<T>,
): Promise<T> {
  const { bodies } = batch
  let shared = bodies.get(encoding)
  if (shared === undefined) bodies.set(encoding, (shared = { body: make(), users: 0, charged: 0, failed: false }))
  shared.users++
  try {
    const body = shared.body instanceof Promise ? await shared.body : shared.body
    if (shared.charged === 0) {
      shared.charged = body.length
      budget?.charge(body.length)
    }
    const answer = await send(body)
    // After a failure the transport may still hold the body.
    if (shared.users === 1 && !shared.failed) budget?.pool.give(body)
    return answer
  } catch (error) {
    shared.failed = true
    throw error
  } finally {
    if (--shared.users === 0) {
      bodies.delete(encoding)
      budget?.release(shared.charged)
    }
  }
}
