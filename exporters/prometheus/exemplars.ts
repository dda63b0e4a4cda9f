/** Exemplars, read when a page is made: most are never asked for. */
import { AttributeWalk } from '../../proto/attributes.ts'
import { attributePairs, type Pair } from '../../backends/prometheus/label-base.ts'
import { type TranslationStrategy, labelName } from '../../backends/prometheus/names.ts'
import { messageNamed } from '../../proto/schema.ts'
import { asBuffer, Range } from '../../proto/values.ts'
import { fieldNamed, findField, findMember } from '../../proto/views.ts'
import { WireError } from '../../proto/wire.ts'
import type { Series } from './table.ts'

/** One exemplar as Prometheus has it. */
export interface Exemplar {
  readonly value: number
  /** Milliseconds since the epoch; 0: not known. */
  readonly time: number
  readonly labels: readonly Pair[]
}

/** What the names and values of an exemplar's labels may have together, in characters (OpenMetrics 1.0). */
const mostCharacters = 128

const message = messageNamed('Exemplar')
const traceId = fieldNamed('Exemplar', 'trace_id')
const spanId = fieldNamed('Exemplar', 'span_id')
const time = fieldNamed('Exemplar', 'time_unix_nano')
const attributesTag = 0x3a

/** The exemplars of a series, in the order they came. */
export function exemplarsOf({ exemplars, exemplarsTag }: Series, strategy: TranslationStrategy): Exemplar[] {
  if (exemplars === undefined) return []
  const found: Exemplar[] = []
  try {
    const walk = new AttributeWalk(exemplars, 0, exemplars.length, exemplarsTag)
    while (walk.next()) {
      const exemplar = read(exemplars, walk.from, walk.to, strategy)
      if (exemplar !== undefined) found.push(exemplar)
    }
  } catch (error) {
    // What cannot be read is no reason to leave out the value it belongs to.
    if (!(error instanceof WireError)) throw error
  }
  return found
}

function read(bytes: Buffer, from: number, to: number, strategy: TranslationStrategy): Exemplar | undefined {
  const range = new Range()
  const member = findMember(bytes, from, to, message, 'value', range)
  if (member === undefined) return undefined
  const at = asBuffer(range.bytes)
  const value = member.type === 'double' ? at.readDoubleLE(range.start) : Number(at.readBigInt64LE(range.start))
  const nanoseconds = findField(bytes, from, to, time, range)
    ? Number(asBuffer(range.bytes).readBigUInt64LE(range.start))
    : 0
  const labels: Pair[] = []
  for (const [name, field] of [['trace_id', traceId] as const, ['span_id', spanId] as const]) {
    if (!findField(bytes, from, to, field, range)) continue
    const hex = asBuffer(range.bytes).toString('hex', range.start, range.end)
    if (/[^0]/.test(hex)) labels.push([name, hex])
  }
  return { value, time: Math.floor(nanoseconds / 1e6), labels: fitting(labels, bytes, from, to, strategy) }
}

/** The ids, and as many attributes as there is room for. */
function fitting(ids: Pair[], bytes: Buffer, from: number, to: number, strategy: TranslationStrategy): Pair[] {
  const labels: Pair[] = []
  const names = new Set<string>()
  let room = mostCharacters
  const attributes = attributePairs(bytes, from, to, attributesTag).map(([key, value]): Pair => [
    labelName(key, strategy),
    value,
  ])
  for (const [name, value] of [...ids, ...attributes]) {
    const size = charactersOf(name) + charactersOf(value)
    if (name === '' || names.has(name) || size > room) continue
    room -= size
    names.add(name)
    labels.push([name, value])
  }
  return labels
}

const charactersOf = (text: string): number => Array.from(text).length

/** Exemplars by the bucket they fall into: one per bucket, the last. */
export class Exemplars {
  #left: readonly Exemplar[]

  constructor(all: readonly Exemplar[]) {
    this.#left = all
  }

  /** That of the next bucket, which ends at `bound`. */
  upTo(bound: number): Exemplar | undefined {
    if (this.#left.length === 0) return undefined
    const found = this.#left.findLast(({ value }) => value <= bound)
    this.#left = this.#left.filter(({ value }) => !(value <= bound))
    return found
  }
}
