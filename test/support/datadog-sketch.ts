/** A sketch read back: quantiles, and how much is in it. */
import { decodeDatadog } from './datadog-proto.ts'

interface Store {
  binCounts: Record<string, number>
  contiguousBinCounts: number[]
  contiguousBinIndexOffset: number
}
interface Sketch {
  mapping: { gamma: number; indexOffset: number; interpolation: number } | null
  positiveValues: Store | null
  negativeValues: Store | null
  zeroCount: number
}

/** Values and their counts, from small to large. */
export function binsOf(bytes: Uint8Array): [value: number, count: number][] {
  const { mapping, positiveValues, zeroCount } = decodeDatadog('DDSketch', bytes) as Sketch
  const { gamma = 0, indexOffset = 0 } = mapping ?? {}
  const counts = positiveValues?.contiguousBinCounts ?? []
  const bins = counts.map((count, i): [number, number] => {
    const index = i + (positiveValues?.contiguousBinIndexOffset ?? 0)
    // The middle of a bin, as Datadog takes it: as far from its lower end as from its upper one, in relation to both.
    return [(gamma ** (index - indexOffset) * 2 * gamma) / (1 + gamma), count]
  })
  return [[0, zeroCount] as [number, number], ...bins].filter(([, count]) => count > 0)
}

/** How many values there are. */
export const countIn = (bytes: Uint8Array): number => binsOf(bytes).reduce((sum, [, count]) => sum + count, 0)

/** The value at a quantile. */
export function quantileOf(bytes: Uint8Array, quantile: number): number {
  const bins = binsOf(bytes)
  let rank = quantile * (countIn(bytes) - 1)
  for (const [value, count] of bins) {
    rank -= count
    if (rank < 0) return value
  }
  return bins.at(-1)?.[0] ?? 0
}
