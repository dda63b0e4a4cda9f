import type { Batch } from './batch.ts'
import type { Budget } from './budget.ts'

/** What was made of a batch to be sent; a format may know more of it than the bytes. */
export interface Body {
  readonly bytes: Buffer
}

/** How batches are written. Declared once by whoever writes so: destinations that send in the same one share the bytes. */
export interface BodyFormat<B extends Body = Body> {
  /** Writes a batch. Memory may come from the budget's pool; it goes back there once all sends have succeeded. */
  write(batch: Batch, budget: Budget | undefined): B | Promise<B>
  /** Whether another object stands for the same format; without it none does. */
  same?(other: BodyFormat): boolean
}

/** A body in flight, and how many sends use it. */
export interface SharedBody<B extends Body = Body> {
  readonly format: BodyFormat<B>
  readonly body: B | Promise<B>
  users: number
  charged: number
  /** One of the sends failed. */
  failed: boolean
}

/**
 * Sends a batch as one joined, framed, compressed body. It is made once per batch and format, however many destinations
 * send it at the same time; it exists, and is charged, while it is in flight.
 */
export async function sendBody<B extends Body, T>(
  batch: Batch,
  format: BodyFormat<B>,
  budget: Budget | undefined,
  send: (body: B) => Promise<T>,
): Promise<T> {
  const { bodies } = batch
  let shared = find(bodies, format)
  if (shared === undefined) {
    shared = { format, body: format.write(batch, budget), users: 0, charged: 0, failed: false }
    bodies.push(shared)
  }
  shared.users++
  try {
    const body = shared.body instanceof Promise ? await shared.body : shared.body
    if (shared.charged === 0) {
      shared.charged = body.bytes.length
      budget?.charge(body.bytes.length)
    }
    const answer = await send(body)
    // After a failure the transport may still hold the body.
    if (shared.users === 1 && !shared.failed) budget?.pool.give(body.bytes)
    return answer
  } catch (error) {
    shared.failed = true
    throw error
  } finally {
    if (--shared.users === 0) {
      bodies.splice(bodies.indexOf(shared), 1)
      budget?.release(shared.charged)
    }
  }
}

/** The body of that format: what one format has written is of its type. */
function find<B extends Body>(bodies: readonly SharedBody[], format: BodyFormat<B>): SharedBody<B> | undefined {
  return bodies.find(one => one.format === format || format.same?.(one.format)) as SharedBody<B> | undefined
}
