import type { Arena } from '../../proto/actions.ts'
import { usualKey, usualValue } from '../../proto/attributes.ts'
import { Range, readKeyValue, text } from '../../proto/values.ts'
import { Cursor, putVarint, sameBytes } from '../../proto/wire.ts'
import { Runs } from '../../proto/runs.ts'
import { askedFor } from './priority.ts'
import { type SampledItem, type Sampler, ThresholdTexts } from './sampler.ts'
import { always, type Bits, hexOf, never, Randomness, thresholdText } from './threshold.ts'
import { formatTraceState, parseTraceState, type TraceState } from './trace-state.ts'

/** Tags in a span. */
const TRACE_ID = 0x0a
const TRACE_STATE = 0x1a
const ATTRIBUTES = 0x4a

const priorityKey = Buffer.from('sampling.priority')
const prefix = Buffer.from('ot=')
const randomnessPrefix = Buffer.from('rv:')
const thresholdPrefix = Buffer.from('th:')
const empty: TraceState = { threshold: undefined, randomness: undefined, more: [], others: [] }

/** A span as a sampler sees it. One object reads one span after the other. */
export class SampledSpan implements SampledItem {
  bytes: Buffer = Buffer.alloc(0)
  traceId = -1
  malformed = false
  hasRandomness = false
  readonly randomness = new Randomness()
  hasThreshold = false
  readonly threshold = new Randomness()
  #start = 0
  #end = 0
  #state: TraceState = empty
  /** The `tracestate`; without one both are 0. */
  #stateFrom = 0
  #stateTo = 0
  #hasPriority = false
  readonly #priority = new Range()
  readonly #cursor = new Cursor(Buffer.alloc(0))
  readonly #runs = new Runs()
  readonly #texts = new ThresholdTexts()

  /** Reads a span. @throws WireError */
  read(bytes: Buffer, start: number, end: number): this {
    this.bytes = bytes
    this.#start = start
    this.#end = end
    this.traceId = -1
    this.#stateFrom = this.#stateTo = 0
    this.#hasPriority = false
    const cursor = this.#cursor.set(bytes, start, end)
    while (cursor.at < end) {
      const tag = cursor.tag()
      if (tag !== TRACE_ID && tag !== TRACE_STATE && tag !== ATTRIBUTES) {
        cursor.skip(tag)
        continue
      }
      const to = cursor.length() + cursor.at
      const from = cursor.at
      cursor.at = to
      if (tag === ATTRIBUTES) {
        if (!this.#hasPriority) this.#findPriority(from, to)
      } else if (tag === TRACE_STATE) {
        this.#stateFrom = from
        this.#stateTo = to
      } else this.traceId = to - from === 16 && !isZero(bytes, from, to) ? from : -1
    }
    this.#readState()
    return this
  }

  #readState(): void {
    const written = this.#stateTo > this.#stateFrom
    const state = written ? parseTraceState(text(this.bytes, this.#stateFrom, this.#stateTo)) : empty
    this.malformed = state === undefined
    this.#state = state ?? empty
    const { randomness, threshold } = this.#state
    this.hasRandomness = randomness !== undefined
    if (randomness !== undefined) this.randomness.set(randomness)
    this.hasThreshold = threshold !== undefined
    if (threshold !== undefined) this.threshold.set(threshold)
  }

  #findPriority(from: number, to: number): void {
    const { bytes } = this
    const value = this.#priority
    const length = usualKey(bytes, from, to)
    if (length >= 0) {
      if (!sameBytes(bytes, from + 2, length, priorityKey)) return
      value.set(bytes, usualValue(bytes, from, length), to)
    } else {
      const key = value.other
      readKeyValue(bytes, from, to, key, value)
      if (!sameBytes(key.bytes, key.start, key.end - key.start, priorityKey)) return
    }
    this.#hasPriority = true
  }

  hash(): boolean {
    return false
  }

  /** `sampling.priority` of OpenTracing: 0 asks to go, more to stay. */
  priority(): Bits | undefined {
    if (!this.#hasPriority) return undefined
    const { bytes, start, end } = this.#priority
    const priority = askedFor(bytes, start, end, this.#priority.other)
    return priority === 0 ? never : priority > 0 ? always : undefined
  }

  /** Writes the span with what `sampler` decided in its `tracestate`. */
  write(sampler: Sampler, out: Arena): void {
    const threshold = this.#texts.of(sampler.threshold)
    if (this.#stateTo === this.#stateFrom) {
      this.#writeFirst(sampler, threshold, out)
      return
    }
    const { high, low } = sampler.marksRandomness ? sampler.randomness : this.randomness
    const randomness = sampler.marksRandomness || this.hasRandomness ? hexOf(high, low) : ''
    const state = Buffer.from(formatTraceState(this.#state, randomness, thresholdText(sampler.threshold)), 'latin1')
    const runs = this.#runs
    const cursor = this.#cursor.set(this.bytes, this.#start, this.#end)
    while (cursor.at < this.#end) {
      const field = cursor.at
      const tag = cursor.tag()
      cursor.skip(tag)
      if (tag !== TRACE_STATE) runs.add(this.bytes, field, cursor.at)
    }
    out.begin(runs.size + state.length + 6)
    out.at = runs.write(out.bytes, out.at)
    runs.clear()
    putHead(out, state.length)
    out.put(state)
  }

  /** The usual case: nothing was said before. */
  #writeFirst({ marksRandomness, randomness }: Sampler, threshold: Buffer, out: Arena): void {
    const length = prefix.length + (marksRandomness ? 18 : 0) + thresholdPrefix.length + threshold.length
    out.begin(this.#end - this.#start + length + 6)
    out.copy(this.bytes, this.#start, this.#end)
    putHead(out, length)
    out.put(prefix)
    if (marksRandomness) {
      out.put(randomnessPrefix)
      putHex(out, randomness.high)
      putHex(out, randomness.low)
      out.bytes[out.at++] = 0x3b
    }
    out.put(thresholdPrefix)
    out.put(threshold)
  }
}

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false
  return true
}

function putHead(out: Arena, length: number): void {
  out.bytes[out.at] = TRACE_STATE
  out.at = putVarint(out.bytes, out.at + 1, length)
}

/** Writes 28 bits as seven hex digits. */
function putHex(out: Arena, bits: number): void {
  for (let shift = 24; shift >= 0; shift -= 4) {
    const digit = (bits >>> shift) & 15
    out.bytes[out.at++] = digit < 10 ? 0x30 + digit : 0x57 + digit
  }
}
