/** Bodies of OTLP requests and the memory they take. */
import type { Batch } from '../core/batch.ts'
import type { Body, BodyFormat } from '../core/body.ts'
import type { Budget } from '../core/budget.ts'
import { DeliveryError } from '../core/errors.ts'
import { compress, type Encoding } from '../net/compression.ts'
import { encodeGroups } from '../proto/group.ts'
import { groupsToJson } from '../proto/json-write.ts'
import { WireError } from '../proto/wire.ts'

/** Memory for a body, from the pool where there is one. */
export function takeFrom(budget: Budget | undefined, size: number): Buffer {
  return budget === undefined ? Buffer.allocUnsafeSlow(size) : budget.pool.take(size)
}

/** The request that `batch` is, in protobuf. */
export function protobufBody({ groups }: Pick<Batch, 'groups'>, budget: Budget | undefined): Buffer {
  return encodeGroups(groups, 0, size => takeFrom(budget, size))
}

/**
 * The request that `batch` is, as OTLP/JSON.
 * @throws DeliveryError where it cannot be written
 */
export function jsonBody({ signal, groups }: Pick<Batch, 'signal' | 'groups'>, budget: Budget | undefined): Buffer {
  try {
    return groupsToJson(signal, groups, budget?.pool)
  } catch (error) {
    if (!(error instanceof WireError)) throw error
    // Receivers check framing; what is wrong deeper down is found by whoever reads there.
    const message = `cannot be written as JSON: ${error.message}`
    throw new DeliveryError('DELIVERY_REJECTED', 'rejected', message, { cause: error })
  }
}

/** Requests of OTLP in protobuf. */
export const protobufFormat: BodyFormat = {
  write: (batch, budget) => ({ bytes: protobufBody(batch, budget) }),
}

/** Requests of OTLP/JSON. */
export const jsonFormat: BodyFormat = {
  write: (batch, budget) => ({ bytes: jsonBody(batch, budget) }),
}

/** A format, compressed. Two of the same format and compression are the same, whoever made them. */
export class CompressedFormat<B extends Body> implements BodyFormat<B> {
  readonly #plain: BodyFormat<B>
  readonly #encoding: Encoding
  readonly #level: number | undefined

  constructor(plain: BodyFormat<B>, encoding: Encoding, level: number | undefined) {
    this.#plain = plain
    this.#encoding = encoding
    this.#level = level
  }

  async write(batch: Batch, budget: Budget | undefined): Promise<B> {
    const written = this.#plain.write(batch, budget)
    const plain = written instanceof Promise ? await written : written
    const bytes = await compressCharged(budget, this.#encoding, this.#level, plain.bytes)
    budget?.pool.give(plain.bytes)
    return { ...plain, bytes }
  }

  same(other: BodyFormat): boolean {
    return (
      other instanceof CompressedFormat &&
      other.#plain === this.#plain &&
      other.#encoding === this.#encoding &&
      other.#level === this.#level
    )
  }
}

/** Compresses `plain`, which is charged for as long as that takes. What comes out is the caller's to charge. */
export async function compressCharged(
  budget: Budget | undefined,
  encoding: Encoding,
  level: number | undefined,
  plain: Buffer,
): Promise<Buffer> {
  const { length } = plain
  budget?.charge(length)
  try {
    return await compress(encoding, level, plain)
  } finally {
    budget?.release(length)
  }
}
