/** Exponential histograms as Prometheus' native histograms. */
import { type Buckets, coarserBuckets, type ExponentialHistogram } from './states.ts'

/** Finest and coarsest buckets that Prometheus has. */
const finest = 8
const coarsest = -4
/** Width of the bucket around zero where none was said. */
const defaultZeroThreshold = 1e-128
/** So many empty buckets cost less than to begin a new span. */
const shortGap = 2
/** Differences of counts below this are exact. */
const mostCount = 2 ** 51

/** Buckets side by side; `offset` counts from the end of the span before, or from bucket 0. */
export interface Span {
  readonly offset: number
  length: number
}

/** The buckets above or below zero: where they are, and how much more each holds than the one before. */
export interface NativeSide {
  readonly spans: readonly Span[]
  readonly deltas: readonly number[]
}

/** What a native histogram has beside counts and sum. */
export interface NativeHistogram {
  readonly schema: number
  readonly zeroThreshold: number
  readonly positive: NativeSide
  readonly negative: NativeSide
}

/** The native histogram; undefined where Prometheus would not take it: it has neither so coarse buckets nor other counts. */
export function nativeOf(state: ExponentialHistogram): NativeHistogram | undefined {
  const schema = Math.min(state.scale, finest)
  if (schema < coarsest || state.count >= mostCount) return undefined
  const total = state.zeroCount + sumOf(state.positive) + sumOf(state.negative)
  // What is no number is counted, and in no bucket.
  if (Number.isNaN(state.sum) ? total > state.count : total !== state.count) return undefined
  return {
    schema,
    zeroThreshold: state.zeroThreshold > 0 ? state.zeroThreshold : defaultZeroThreshold,
    positive: sideOf(coarserBuckets(state.positive, state.scale - schema)),
    negative: sideOf(coarserBuckets(state.negative, state.scale - schema)),
  }
}

function sideOf({ offset, counts }: Buckets): NativeSide {
  const spans: Span[] = []
  const deltas: number[] = []
  let span: Span | undefined
  let before = 0
  // Where the last span ends.
  let end = 0
  // Buckets of Prometheus are numbered by their upper bounds, those of OTLP by their lower ones.
  let next = offset
  for (const count of counts) {
    next++
    if (count === 0) continue
    const empty = next - end
    if (span !== undefined && empty <= shortGap) {
      for (let j = 0; j < empty; j++) {
        deltas.push(-before)
        before = 0
      }
      span.length += empty + 1
    } else spans.push((span = { offset: empty, length: 1 }))
    deltas.push(count - before)
    before = count
    end = next + 1
  }
  return { spans, deltas }
}

function sumOf({ counts }: Buckets): number {
  let sum = 0
  for (const count of counts) sum += count
  return sum
}
