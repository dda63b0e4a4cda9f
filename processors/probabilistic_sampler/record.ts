import type { Arena } from '../../proto/actions.ts'
import { attributeTags, AttributeWalk, usualKey, usualValue } from '../../proto/attributes.ts'
import {
  BYTES,
  encodeKeyValue,
  encodeValue,
  Range,
  readKeyValue,
  readValue,
  TEXT,
  text,
  valueKind,
  valueText,
} from '../../proto/values.ts'
import { findField, fieldNamed } from '../../proto/views.ts'
import { sameBytes } from '../../proto/wire.ts'
import { Runs } from '../../proto/runs.ts'
import { askedFor } from './priority.ts'
import { type SampledItem, type Sampler, ThresholdTexts } from './sampler.ts'
import { type Bits, hexOf, never, parseRandomness, parseThreshold, Randomness, thresholdOf } from './threshold.ts'

const traceIdField = fieldNamed('LogRecord', 'trace_id')
const randomnessKey = Buffer.from('sampling.randomness')
const thresholdKey = Buffer.from('sampling.threshold')
const tag = attributeTags.logRecord

/** An attribute of the record: where its field and its value stand. */
class Found {
  readonly key: Buffer
  readonly value = new Range()
  present = false
  field = 0
  to = 0

  constructor(key: Buffer) {
    this.key = key
  }

  /** The text it holds, '' for anything else. */
  get text(): string {
    if (!this.present) return ''
    const { bytes, start, end } = this.value
    const range = this.value.other
    return valueKind(bytes, start, end, range) === TEXT ? text(range.bytes, range.start, range.end) : ''
  }
}

/** A log record as a sampler sees it. One object reads one record after the other. */
export class SampledRecord implements SampledItem {
  bytes: Buffer = Buffer.alloc(0)
  traceId = -1
  malformed = false
  hasRandomness = false
  readonly randomness = new Randomness()
  hasThreshold = false
  readonly threshold = new Randomness()
  #start = 0
  #end = 0
  readonly #range = new Range()
  readonly #runs = new Runs()
  readonly #texts = new ThresholdTexts()
  readonly #randomness = new Found(randomnessKey)
  readonly #threshold = new Found(thresholdKey)
  readonly #source: Found | undefined
  readonly #priority: Found | undefined
  readonly #wanted: readonly Found[]
  readonly #precision: number

  /** `source` is the attribute that is hashed, `priority` the one that asks for a percentage; '' for none. */
  constructor(source: string, priority: string, precision: number) {
    this.#source = source === '' ? undefined : new Found(Buffer.from(source))
    this.#priority = priority === '' ? undefined : new Found(Buffer.from(priority))
    this.#precision = precision
    this.#wanted = [this.#randomness, this.#threshold, this.#source, this.#priority].filter(one => one !== undefined)
  }

  /** Reads a record. @throws WireError */
  read(bytes: Buffer, start: number, end: number): this {
    this.bytes = bytes
    this.#start = start
    this.#end = end
    const range = this.#range
    this.traceId = -1
    if (findField(bytes, start, end, traceIdField, range) && range.end - range.start === 16) {
      for (let i = range.start; i < range.end; i++) if (bytes[i] !== 0) this.traceId = range.start
    }
    for (const one of this.#wanted) one.present = false
    const walk = new AttributeWalk(bytes, start, end, tag)
    while (walk.next()) this.#find(walk)
    this.#readState()
    return this
  }

  #find({ field, from, to }: AttributeWalk): void {
    const { bytes } = this
    const length = usualKey(bytes, from, to)
    const key = this.#range
    if (length >= 0) key.set(bytes, from + 2, from + 2 + length)
    else readKeyValue(bytes, from, to, key, key.other)
    for (const one of this.#wanted) {
      if (one.present || !sameBytes(key.bytes, key.start, key.end - key.start, one.key)) continue
      one.present = true
      one.field = field
      one.to = to
      if (length >= 0) one.value.set(bytes, usualValue(bytes, from, length), to)
      else one.value.set(key.other.bytes, key.other.start, key.other.end)
    }
  }

  #readState(): void {
    const threshold = this.#threshold.text
    const randomness = this.#randomness.text
    const parsedThreshold = threshold === '' ? undefined : parseThreshold(threshold)
    const parsedRandomness = randomness === '' ? undefined : parseRandomness(randomness)
    this.malformed =
      (threshold !== '' && parsedThreshold === undefined) || (randomness !== '' && parsedRandomness === undefined)
    this.hasThreshold = parsedThreshold !== undefined
    if (parsedThreshold !== undefined) this.threshold.set(parsedThreshold)
    this.hasRandomness = parsedRandomness !== undefined
    if (parsedRandomness !== undefined) this.randomness.set(parsedRandomness)
  }

  hash(randomness: Randomness, seeded: number): boolean {
    if (this.#source === undefined || !this.#source.present) return false
    const { bytes, start, end } = this.#source.value
    const range = this.#range
    const kind = valueKind(bytes, start, end, range)
    if (kind !== TEXT && kind !== BYTES) {
      const written = Buffer.from(valueText(readValue(bytes, start, end)))
      range.set(written, 0, written.length)
    }
    if (range.start === range.end) return false
    randomness.setHash(range.bytes, range.start, range.end, seeded)
    return true
  }

  /** The record's own percentage in place of the sampler's: 0 asks to go, 100 and more to stay. */
  priority(): Bits | undefined {
    if (this.#priority === undefined || !this.#priority.present) return undefined
    const { bytes, start, end } = this.#priority.value
    const percentage = askedFor(bytes, start, end, this.#range)
    if (!(percentage >= 0)) return undefined
    // What is too little for a threshold of its own keeps as good as nothing.
    return thresholdOf(Math.min(1, percentage / 100), this.#precision) ?? never
  }

  /** Writes the record with attributes that say what `sampler` decided. */
  write(sampler: Sampler, out: Arena): void {
    const { high, low } = sampler.randomness
    const changes: [Found, Buffer][] = []
    if (sampler.marksRandomness) changes.push([this.#randomness, attribute(randomnessKey, hexOf(high, low))])
    changes.push([this.#threshold, attribute(thresholdKey, this.#texts.of(sampler.threshold).toString('latin1'))])
    const runs = this.#runs
    let copied = this.#start
    for (const [{ field, to }, made] of inPlace(changes)) {
      runs.add(this.bytes, copied, field)
      runs.add(made, 0, made.length)
      copied = to
    }
    runs.add(this.bytes, copied, this.#end)
    for (const [{ present }, made] of changes) if (!present) runs.add(made, 0, made.length)
    runs.into(out)
    runs.clear()
  }
}

const attribute = (key: Buffer, value: string): Buffer => encodeKeyValue(tag, key, encodeValue(value))

/** The changes of what is there already, in the order it stands. */
const inPlace = (changes: readonly [Found, Buffer][]): (readonly [Found, Buffer])[] =>
  changes.filter(([{ present }]) => present).toSorted(([a], [b]) => a.field - b.field)
