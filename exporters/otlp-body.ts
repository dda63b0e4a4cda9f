/** Bodies of OTLP requests and the memory they take. */
import type { Budget } from '../core/budget.ts'
import type { Host } from '../core/host.ts'
import { budgetKey } from '../net/admission.ts'
import { compress, type Encoding } from '../net/compression.ts'

/** The process's memory budget, where there is one. */
export function budgetOf(host: Host): Budget | undefined {
  try {
    return host.get(budgetKey)
  } catch {
    return undefined
  }
}

/** Memory for a body, from the pool where there is one. */
export function takeFrom(budget: Budget | undefined, size: number): Buffer {
  return budget === undefined ? Buffer.allocUnsafeSlow(size) : budget.pool.take(size)
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
