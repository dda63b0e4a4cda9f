/** Attribute actions that depend on values, applied one after the other to a list of ranges. */
import { createHash } from 'node:crypto'
import type { Action, Arena, Edits, Lookup, Source } from './actions.ts'
import { AttributeWalk, usualKey, usualValue } from './attributes.ts'
import type { Pattern } from './pattern.ts'
import {
  BOOL,
  DOUBLE,
  encodeDouble,
  encodeInt,
  encodeKeyValue,
  encodeValue,
  INT,
  NOTHING,
  Range,
  readDouble,
  readKeyValue,
  readValue,
  readVarint64,
  signed,
  TEXT,
  text,
  valueKind,
  valueText,
  withValue,
} from './values.ts'
import { sameBytes } from './wire.ts'

/** Applies one action to the list. */
type Step = (list: AttributeList, lookup: Lookup | undefined) => void

/** Edits that are applied in order. */
export class SequentialEdits implements Edits {
  readonly growth = undefined
  readonly usesContext: boolean
  readonly #steps: readonly Step[]
  readonly #list: AttributeList

  constructor(actions: readonly Action[], tag: number) {
    this.#steps = actions.map(step)
    this.#list = new AttributeList(tag)
    this.usesContext = actions.some(action => 'source' in action && 'fromContext' in action.source)
  }

  apply(bytes: Buffer, start: number, end: number, out: Arena, lookup?: Lookup): boolean {
    const list = this.#list
    try {
      list.load(bytes, start, end)
      for (const step of this.#steps) step(list, lookup)
      if (!list.changed) return false
      list.write(out)
      return true
    } finally {
      list.clear()
    }
  }
}

/** A message as ranges: its attributes, and what stands between them. The arrays are used again for each message. */
class AttributeList {
  readonly tag: number
  changed = false
  count = 0
  /** Per range: the bytes it is in, where it starts and ends, where the attribute's content and key start. */
  readonly #sources: Buffer[] = []
  readonly #starts: number[] = []
  readonly #ends: number[] = []
  readonly #contents: number[] = []
  readonly #keys: number[] = []
  /** Length of the key; -1 where the range is no attribute, or none any more. */
  readonly #keyLengths: number[] = []
  readonly #range = new Range()

  constructor(tag: number) {
    this.tag = tag
  }

  load(bytes: Buffer, start: number, end: number): void {
    this.changed = false
    this.count = 0
    const walk = new AttributeWalk(bytes, start, end, this.tag)
    let last = start
    while (walk.next()) {
      if (walk.field > last) this.#push(bytes, last, walk.field)
      this.#pushAttribute(bytes, walk.field, walk.from, walk.to)
      last = walk.to
    }
    if (last < end) this.#push(bytes, last, end)
  }

  /** Lets go of the bytes. */
  clear(): void {
    this.#sources.length = 0
    this.count = 0
  }

  #push(bytes: Buffer, start: number, end: number): number {
    const i = this.count++
    this.#sources[i] = bytes
    this.#starts[i] = start
    this.#ends[i] = end
    this.#keyLengths[i] = -1
    return i
  }

  #pushAttribute(bytes: Buffer, field: number, from: number, to: number): void {
    const i = this.#push(bytes, field, to)
    this.#contents[i] = from
    this.#findKey(i)
  }

  #findKey(i: number): void {
    const bytes = this.#sources[i]
    const from = this.#contents[i]
    const length = usualKey(bytes, from, this.#ends[i])
    if (length >= 0) {
      this.#keys[i] = from + 2
      this.#keyLengths[i] = length
      return
    }
    const key = this.#range
    readKeyValue(bytes, from, this.#ends[i], key, key.other)
    this.#keys[i] = key.start
    this.#keyLengths[i] = key.end - key.start
  }

  /** The first attribute of that name, or -1. */
  find(key: Buffer): number {
    for (let i = 0; i < this.count; i++) {
      if (sameBytes(this.#sources[i], this.#keys[i], this.#keyLengths[i], key)) return i
    }
    return -1
  }

  /** Attributes whose key the pattern matches. */
  matching(pattern: Pattern): number[] {
    const found: number[] = []
    for (let i = 0; i < this.count; i++) {
      const length = this.#keyLengths[i]
      if (length < 0) continue
      if (pattern.matches(text(this.#sources[i], this.#keys[i], this.#keys[i] + length))) found.push(i)
    }
    return found
  }

  /** Sets `out` to the content of an attribute's AnyValue. */
  value(i: number, out: Range): void {
    const bytes = this.#sources[i]
    const from = this.#contents[i]
    const length = usualKey(bytes, from, this.#ends[i])
    if (length >= 0) out.set(bytes, usualValue(bytes, from, length), this.#ends[i])
    else readKeyValue(bytes, from, this.#ends[i], out.other, out)
  }

  /** Gives an attribute another value, in its place. */
  replace(i: number, value: Uint8Array): void {
    const range = this.#range
    this.value(i, range)
    if (sameBytes(range.bytes, range.start, range.end - range.start, value)) return
    this.#set(i, withValue(this.#sources[i], this.#contents[i], this.#ends[i], this.tag, value))
  }

  append(key: Buffer, value: Uint8Array): void {
    this.#set(this.count++, encodeKeyValue(this.tag, key, value))
  }

  #set(i: number, field: Buffer): void {
    this.#sources[i] = field
    this.#starts[i] = 0
    this.#ends[i] = field.length
    let content = 2
    while (field[content - 1] > 0x7f) content++
    this.#contents[i] = content
    this.#findKey(i)
    this.changed = true
  }

  remove(i: number): void {
    this.#ends[i] = this.#starts[i]
    this.#keyLengths[i] = -1
    this.changed = true
  }

  write(out: Arena): void {
    let size = 0
    for (let i = 0; i < this.count; i++) size += this.#ends[i] - this.#starts[i]
    out.begin(size)
    for (let i = 0; i < this.count; i++) {
      const bytes = this.#sources[i]
      const start = this.#starts[i]
      while (i + 1 < this.count && this.#sources[i + 1] === bytes && this.#starts[i + 1] === this.#ends[i]) i++
      out.copy(bytes, start, this.#ends[i])
    }
  }
}

function step(action: Action): Step {
  switch (action.action) {
    case 'insert':
    case 'update':
    case 'upsert':
      return set(action.action, Buffer.from(action.key), action.source)
    case 'delete':
      return remove(action.key, action.pattern)
    case 'hash':
      return each(action.key, action.pattern, hash)
    case 'extract':
      return extract(Buffer.from(action.key), action.pattern)
    case 'convert': {
      const { to } = action
      return each(action.key, undefined, (list, i) => convert(list, i, to))
    }
  }
}

function set(action: 'insert' | 'update' | 'upsert', key: Buffer, source: Source): Step {
  const valueOf = valueFrom(source)
  return (list, lookup) => {
    const value = valueOf(list, lookup)
    if (value === undefined) return
    const i = list.find(key)
    if (i < 0 && action !== 'update') list.append(key, value)
    if (i >= 0 && action !== 'insert') list.replace(i, value)
  }
}

/** The content of the AnyValue to set, or undefined when the source has none. */
function valueFrom(source: Source): (list: AttributeList, lookup: Lookup | undefined) => Uint8Array | undefined {
  if ('value' in source) {
    const value = encodeValue(source.value)
    return () => value
  }
  if ('fromContext' in source) {
    return (_list, lookup) => {
      const found = lookup?.(source.fromContext)
      return found === undefined ? undefined : encodeValue(found)
    }
  }
  const key = Buffer.from(source.fromAttribute)
  const range = new Range()
  return list => {
    const i = list.find(key)
    if (i < 0) return undefined
    list.value(i, range)
    return range.bytes.subarray(range.start, range.end)
  }
}

/** Does something to the attribute with that key, and to those whose key the pattern matches. */
function each(
  key: string | undefined,
  pattern: Pattern | undefined,
  visit: (list: AttributeList, i: number) => void,
): Step {
  const bytes = key === undefined ? undefined : Buffer.from(key)
  return list => {
    const i = bytes === undefined ? -1 : list.find(bytes)
    if (i >= 0) visit(list, i)
    if (pattern !== undefined) for (const j of list.matching(pattern)) visit(list, j)
  }
}

/** Removes all attributes with that key, and those whose key the pattern matches. */
function remove(key: string | undefined, pattern: Pattern | undefined): Step {
  const bytes = key === undefined ? undefined : Buffer.from(key)
  return list => {
    if (bytes !== undefined) for (let i = list.find(bytes); i >= 0; i = list.find(bytes)) list.remove(i)
    if (pattern !== undefined) for (const i of list.matching(pattern)) list.remove(i)
  }
}

/** The most bytes of a value that are hashed: a hundred times as many would take a tenth of a second. */
const mostHashed = 8 << 20

/**
 * Replaces the value by the SHA-256 of its bytes in hex, of a very long one of its first bytes and its length; of what is not a
 * single value, by an empty text.
 */
function hash(list: AttributeList, i: number): void {
  const range = new Range()
  list.value(i, range)
  const bytes = hashed(range, valueKind(range.bytes, range.start, range.end, range))
  if (bytes === undefined) return list.replace(i, encodeValue(''))
  const sum = createHash('sha256').update(bytes.subarray(0, mostHashed))
  if (bytes.length > mostHashed) sum.update(String(bytes.length))
  list.replace(i, encodeValue(sum.digest('hex')))
}

function hashed({ bytes, start, end }: Range, kind: number): Uint8Array | undefined {
  switch (kind) {
    case TEXT:
    case DOUBLE:
      return bytes.subarray(start, end)
    case BOOL:
      return Buffer.from([readVarint64(bytes, start, end) === 0 ? 0 : 1])
    case INT: {
      const out = Buffer.alloc(8)
      out.writeBigUInt64LE(BigInt.asUintN(64, BigInt(readVarint64(bytes, start, end))))
      return out
    }
    default:
      return undefined
  }
}

/** Sets one attribute per group of the pattern; only texts are looked at. */
function extract(key: Buffer, pattern: Pattern): Step {
  const names = pattern.groups.map(name => Buffer.from(name ?? ''))
  const range = new Range()
  return list => {
    const i = list.find(key)
    if (i < 0) return
    list.value(i, range)
    if (valueKind(range.bytes, range.start, range.end, range) !== TEXT) return
    const found = pattern.extract(text(range.bytes, range.start, range.end))
    if (found === undefined) return
    names.forEach((name, group) => {
      const value = encodeValue(found[group])
      const at = list.find(name)
      if (at < 0) list.append(name, value)
      else list.replace(at, value)
    })
  }
}

/** Gives the value another type; one that cannot be converted stays. */
function convert(list: AttributeList, i: number, to: 'int' | 'double' | 'string'): void {
  const whole = new Range()
  list.value(i, whole)
  const { bytes, start, end } = whole
  const range = new Range()
  const kind = valueKind(bytes, start, end, range)
  if (to === 'string') {
    if (kind !== TEXT) list.replace(i, encodeValue(valueText(readValue(bytes, start, end))))
    return
  }
  if (kind === NOTHING || kind === (to === 'int' ? INT : DOUBLE)) return
  const found = scalar(range, kind)
  if (found === undefined) return
  if (to === 'double') {
    const number = typeof found === 'string' ? parseDouble(found) : Number(found)
    if (number !== undefined) list.replace(i, encodeDouble(number))
  } else {
    const number = toInteger(found)
    if (number !== undefined) list.replace(i, encodeInt(number))
  }
}

/** What Go's ParseFloat takes of a decimal text. */
function parseDouble(found: string): number | undefined {
  if (/^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i.test(found)) return Number(found)
  const named = /^([+-]?)(inf|infinity|nan)$/i.exec(found)
  if (named === null) return undefined
  if (named[2].toLowerCase() === 'nan') return named[1] === '' ? Number.NaN : undefined
  return named[1] === '-' ? -Infinity : Infinity
}

/** The whole part, if 64 bits hold it. */
function toInteger(found: number | bigint | string): number | bigint | undefined {
  if (typeof found === 'bigint') return found
  if (typeof found === 'string' && !/^[+-]?\d{1,4096}$/.test(found)) return undefined
  if (typeof found === 'number' && !Number.isFinite(found)) return undefined
  const whole = BigInt(typeof found === 'string' ? found.replace(/^\+/, '') : Math.trunc(found))
  return BigInt.asIntN(64, whole) === whole ? whole : undefined
}

/** The single value that a number may be made of; undefined where there is none. */
function scalar({ bytes, start, end }: Range, kind: number): number | bigint | string | undefined {
  switch (kind) {
    case BOOL:
      return readVarint64(bytes, start, end) === 0 ? 0 : 1
    case INT:
      return signed(readVarint64(bytes, start, end))
    case DOUBLE:
      return readDouble(bytes, start)
    case TEXT:
      return text(bytes, start, end)
    default:
      return undefined
  }
}
