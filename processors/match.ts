/** Whether items are those that `include` and `exclude` ask for, on their bytes. What lies above items is asked once per scope. */
import { attributeTags, findAttribute } from '../proto/attributes.ts'
import type { Group } from '../proto/group.ts'
import { ItemIndex } from '../proto/item-index.ts'
import { compilePattern } from '../proto/pattern.ts'
import { enums } from '../proto/schema.ts'
import { type Signal, signals } from '../proto/signals.ts'
import {
  asBuffer,
  BOOL,
  DOUBLE,
  INT,
  Range,
  readValue,
  TEXT,
  text,
  type Value,
  valueKind,
  valueText,
  type Writable,
} from '../proto/values.ts'
import { fieldNamed, readText } from '../proto/views.ts'
import { sameBytes } from '../proto/wire.ts'
import type { MatchProperties } from './match-config.ts'

/** Says whether the message between `start` and `end` is one. */
type Test = (bytes: Uint8Array, start: number, end: number) => boolean
/** Says whether a text is one. */
type TextTest = (text: string) => boolean

const serviceKey = Buffer.from('service.name')
const names = {
  scopeName: fieldNamed('InstrumentationScope', 'name'),
  scopeVersion: fieldNamed('InstrumentationScope', 'version'),
}

/** Which items a processor is for: those that match `include` and do not match `exclude`. */
export class Selection {
  readonly #include: Matcher | undefined
  readonly #exclude: Matcher | undefined

  constructor(include: MatchProperties | undefined, exclude: MatchProperties | undefined, signal: Signal) {
    this.#include = include && new Matcher(include, signal)
    this.#exclude = exclude && new Matcher(exclude, signal)
  }

  /** The scope, and the group it is in, of the items that are asked for next. */
  enter(group: Group, bytes: Uint8Array, start: number, end: number): void {
    this.#include?.enter(group, bytes, start, end)
    this.#exclude?.enter(group, bytes, start, end)
  }

  /** Whether the item between `start` and `end` is one of them. @throws WireError */
  has(bytes: Uint8Array, start: number, end: number): boolean {
    return (
      (this.#include === undefined || this.#include.matches(bytes, start, end)) &&
      (this.#exclude === undefined || !this.#exclude.matches(bytes, start, end))
    )
  }
}

class Matcher {
  readonly #group: readonly Test[]
  readonly #scope: readonly Test[]
  readonly #item: readonly Test[]
  #matches = true

  constructor(properties: MatchProperties, signal: Signal) {
    this.#group = groupTests(properties)
    this.#scope = properties.libraries.map(library => libraryTest(library, properties))
    this.#item = itemTests(properties, signal)
  }

  enter(group: Group, bytes: Uint8Array, start: number, end: number): void {
    const { resource, resourceStart, resourceEnd } = group
    this.#matches = all(this.#group, resource, resourceStart, resourceEnd) && all(this.#scope, bytes, start, end)
  }

  matches(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#matches && all(this.#item, bytes, start, end)
  }
}

function all(tests: readonly Test[], bytes: Uint8Array, start: number, end: number): boolean {
  for (const test of tests) if (!test(bytes, start, end)) return false
  return true
}

function groupTests(properties: MatchProperties): Test[] {
  const tests = properties.resources.map(one => attributeTest(one, attributeTags.resource, properties))
  if (properties.services.length === 0) return tests
  const isService = textTest(properties.services, properties)
  const range = new Range()
  tests.push((bytes, start, end) => {
    const found = findAttribute(bytes, start, end, attributeTags.resource, serviceKey, range)
    // The name that the Collector gives to what has none.
    return isService(found ? valueText(readValue(range.bytes, range.start, range.end)) : '<nil-service-name>')
  })
  return tests
}

function libraryTest(library: MatchProperties['libraries'][number], properties: MatchProperties): Test {
  const isName = textTest([library.name], properties)
  const isVersion = library.version === undefined ? () => true : textTest([library.version], properties)
  return (bytes, start, end) =>
    isName(readText(bytes, start, end, names.scopeName)) && isVersion(readText(bytes, start, end, names.scopeVersion))
}

function itemTests(properties: MatchProperties, signal: Signal): Test[] {
  const tag = signal === 'traces' ? attributeTags.span : attributeTags.logRecord
  return [...fieldTests(properties, signal), ...properties.attributes.map(one => attributeTest(one, tag, properties))]
}

/** Says whether a field of the item that was looked at, by its place in the index, is one. */
type FieldTest = (item: ItemIndex, place: number) => boolean

/** One test of all fields that are asked for, which are found in one pass; none where none are. */
function fieldTests(properties: MatchProperties, signal: Signal): Test[] {
  const { span_names, metric_names, span_kinds, log_bodies, log_severity_texts, log_severity_number } = properties
  const asked: [name: string, test: FieldTest][] = []
  const isText =
    (wanted: TextTest): FieldTest =>
    (item, place) =>
      wanted(item.text(place))
  const wanted = signal === 'traces' ? span_names : metric_names
  if (wanted.length > 0 && signal !== 'logs') asked.push(['name', isText(textTest(wanted, properties))])
  if (span_kinds.length > 0) {
    const isKind = textTest(span_kinds, properties)
    const matching = new Set<number>(
      Object.entries(enums.SpanKind).flatMap(([name, kind]) => (isKind(name) ? [kind] : [])),
    )
    asked.push(['kind', (item, place) => matching.has(number(item.value(place)))])
  }
  if (log_bodies.length > 0) asked.push(['body', bodyTest(textTest(log_bodies, properties))])
  if (log_severity_texts.length > 0) asked.push(['severity_text', isText(textTest(log_severity_texts, properties))])
  if (log_severity_number !== undefined) {
    const { min, match_undefined } = log_severity_number
    asked.push([
      'severity_number',
      (item, place) => {
        const severity = number(item.value(place))
        return severity === 0 ? match_undefined : severity >= min
      },
    ])
  }
  if (asked.length === 0) return []
  const item = new ItemIndex(signals[signal].item, ...asked.map(([name]) => name))
  const tests = asked.map(([, test]) => test)
  return [
    (bytes, start, end) => {
      item.load(asBuffer(bytes), start, end)
      const matches = tests.every((test, place) => test(item, place))
      // The bytes of an item are not kept from one batch to the next.
      item.clear()
      return matches
    },
  ]
}

const number = (value: unknown): number => (typeof value === 'number' ? value : 0)

function bodyTest(isBody: TextTest): FieldTest {
  const range = new Range()
  return (item, place) =>
    isBody(item.find(place, range) ? valueText(readValue(range.bytes, range.start, range.end)) : '')
}

/** Whether a text is one of these, or matches one of them. */
function textTest(wanted: readonly string[], { match_type }: MatchProperties): TextTest {
  if (match_type === 'strict') {
    const set = new Set(wanted)
    return found => set.has(found)
  }
  const patterns = wanted.map(source => compilePattern(source))
  return found => patterns.some(pattern => pattern.matches(found))
}

function attributeTest(
  { key, value }: MatchProperties['attributes'][number],
  tag: number,
  properties: MatchProperties,
): Test {
  const name = Buffer.from(key)
  const range = new Range()
  const find = (bytes: Uint8Array, start: number, end: number): boolean =>
    findAttribute(bytes, start, end, tag, name, range)
  if (value === undefined || value === null) return find
  if (properties.match_type === 'regexp') {
    const matches = textTest([typeof value === 'string' ? value : ''], properties)
    return (bytes, start, end) => {
      if (!find(bytes, start, end)) return false
      const found = singleText(range)
      return found !== undefined && matches(found)
    }
  }
  if (typeof value === 'string') {
    const wanted = Buffer.from(value)
    return (bytes, start, end) =>
      find(bytes, start, end) &&
      valueKind(range.bytes, range.start, range.end, range) === TEXT &&
      sameBytes(range.bytes, range.start, range.end - range.start, wanted)
  }
  return (bytes, start, end) => find(bytes, start, end) && same(readValue(range.bytes, range.start, range.end), value)
}

/** A text, bool or number as text; undefined for what is none. */
function singleText(range: Range): string | undefined {
  const { bytes, start, end } = range
  switch (valueKind(bytes, start, end, range)) {
    case TEXT:
      return text(range.bytes, range.start, range.end)
    case BOOL:
    case INT:
      return valueText(readValue(bytes, start, end))
    case DOUBLE:
      return plainNumber(Number(readValue(bytes, start, end)))
    default:
      return undefined
  }
}

/** A double without an exponent, as the Collector matches it. */
function plainNumber(n: number): string {
  if (!Number.isFinite(n)) return Number.isNaN(n) ? 'NaN' : n > 0 ? '+Inf' : '-Inf'
  if (Object.is(n, -0)) return '-0'
  const found = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(String(n))
  if (found === null) return String(n)
  const [, sign, first, rest = '', exponent] = found
  const digits = first + rest
  const point = 1 + Number(exponent)
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  return `${sign}${digits.padEnd(point, '0')}`
}

/** Whether a value is what the configuration says; a whole number there may stand for a double. */
function same(found: Value, wanted: Writable): boolean {
  if (Array.isArray(found)) {
    return Array.isArray(wanted) && found.length === wanted.length && found.every((one, i) => same(one, wanted[i]))
  }
  if (found instanceof Map) {
    if (typeof wanted !== 'object' || wanted === null || Array.isArray(wanted) || wanted instanceof Uint8Array) {
      return false
    }
    const entries: [string, Writable][] = wanted instanceof Map ? [...wanted] : Object.entries(wanted)
    return (
      entries.length === found.size &&
      entries.every(([key, one]) => found.has(key) && same(found.get(key) ?? null, one))
    )
  }
  return found === wanted || (found === null && wanted === undefined)
}
