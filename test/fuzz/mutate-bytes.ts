/** Mutations of bytes that know nothing of what they mean, and of protobuf by its fields. */
import type { Random } from '../support/otlp.ts'

/** A mutated copy of `base`, with parts of `other` now and then. */
export function mutateBytes(random: Random, base: Buffer, other: Buffer): Buffer {
  let bytes = base
  let left = 1 + (random.chance(2) ? 0 : random.next(5))
  while (left-- > 0) bytes = random.chance(3) ? blind(random, bytes, other) : byFields(random, bytes, other, 0)
  return bytes.length > largest ? bytes.subarray(0, largest) : bytes
}

/** Grown beyond this, a mutation brings nothing new. */
const largest = 200_000

const telling = [0, 1, 0x0a, 0x0b, 0x0c, 0x12, 0x1a, 0x2a, 0x32, 0x7f, 0x80, 0xc3, 0xed, 0xff]

/** A mutation of bytes as bytes. */
export function blind(random: Random, bytes: Buffer, other: Buffer): Buffer {
  const size = bytes.length
  const at = random.next(size + 1)
  const length = random.next(Math.min(64, size - at) + 1)
  switch (random.next(9)) {
    case 0:
    case 1: {
      const copy = Buffer.from(bytes)
      if (size === 0) return copy
      for (let n = 1 + random.next(random.chance(4) ? 20 : 2); n > 0; n--)
        copy[random.next(size)] ^= 1 << random.next(8)
      return copy
    }
    case 2: {
      const copy = Buffer.from(bytes)
      if (at < size) copy[at] = random.pick(telling)
      return copy
    }
    case 3:
      return bytes.subarray(0, at)
    case 4:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
    case 5:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)])
    case 6: {
      const from = random.next(other.length + 1)
      return Buffer.concat([bytes.subarray(0, at), other.subarray(from)])
    }
    case 7: {
      const from = random.next(other.length + 1)
      const piece = other.subarray(from, from + random.next(100))
      return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)])
    }
    default:
      return Buffer.concat([bytes.subarray(0, at), noise(random, random.next(12)), bytes.subarray(at)])
  }
}

/** Random bytes. */
export function noise(random: Random, length: number): Buffer {
  const out = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i++) out[i] = random.next(256)
  return out
}

/** One field of a message: its tag and what follows, without the length. */
interface Field {
  tag: number
  content: Buffer
}

/** The fields of a message; undefined when it cannot be read as one. */
function fieldsOf(bytes: Buffer): Field[] | undefined {
  const fields: Field[] = []
  let at = 0
  const varint = (): number => {
    let n = 0
    for (let i = 0; i < 5 && at < bytes.length; i++) {
      const b = bytes[at++]
      n += (b & 127) * 2 ** (7 * i)
      if (b < 128) return n
    }
    return -1
  }
  while (at < bytes.length) {
    const tag = varint()
    if (tag < 8) return undefined
    const start = at
    let end: number
    if ((tag & 7) === 2) {
      const length = varint()
      if (length < 0) return undefined
      fields.push({ tag, content: bytes.subarray(at, at + length) })
      at += length
      if (at > bytes.length) return undefined
      continue
    } else if ((tag & 7) === 0) {
      if (varint() < 0) {
        while (at < bytes.length && bytes[at++] > 127);
      }
      end = at
    } else if ((tag & 7) === 1) end = start + 8
    else if ((tag & 7) === 5) end = start + 4
    else return undefined
    if (end > bytes.length) return undefined
    at = end
    fields.push({ tag, content: bytes.subarray(start, end) })
  }
  return fields
}

/** `n` as a varint; `pad` adds bytes that say nothing. */
export function varint(n: number, pad = 0): Buffer {
  const out: number[] = []
  let rest = n
  do {
    out.push((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  } while (rest > 0)
  for (let i = 0; i < pad; i++) out.push(128)
  out[out.length - 1] &= 127
  return Buffer.from(out)
}

const written = ({ tag, content }: Field): Buffer =>
  (tag & 7) === 2
    ? Buffer.concat([varint(tag), varint(content.length), content])
    : Buffer.concat([varint(tag), content])

/** The field's tag with another wire type. */
const wired = ({ tag }: Field, wire: number): number => (tag >>> 3) * 8 + wire

const joined = (fields: readonly Field[]): Buffer => Buffer.concat(fields.map(written))

/** A mutation of one message somewhere inside of `bytes`; the lengths around it are right again. */
function byFields(random: Random, bytes: Buffer, other: Buffer, depth: number): Buffer {
  const fields = fieldsOf(bytes)
  if (fields === undefined || fields.length === 0) return blind(random, bytes, other)
  const i = random.next(fields.length)
  const field = fields[i]
  // Mostly further down: that is where most of a message is.
  if ((field.tag & 7) === 2 && field.content.length > 0 && depth < 14 && !random.chance(4)) {
    const content = byFields(random, field.content, other, depth + 1)
    return joined(fields.with(i, { tag: field.tag, content }))
  }
  return change(random, fields, i, other)
}

const lengths = [2 ** 7, 2 ** 14, 2 ** 21, 2 ** 28, 2 ** 31, 2 ** 32 - 1, 2 ** 35, 2 ** 50]

/** A mutation of field `i` of a message, or of its fields together. */
function change(random: Random, fields: readonly Field[], i: number, other: Buffer): Buffer {
  const field = fields[i]
  const put = (part: Buffer): Buffer => Buffer.concat([joined(fields.slice(0, i)), part, joined(fields.slice(i + 1))])
  const withField = (changed: Partial<Field>): Buffer => joined(fields.with(i, { ...field, ...changed }))
  switch (random.next(16)) {
    case 0: {
      const times = random.chance(20) ? 500 : 1 + random.next(4)
      return field.content.length * times > 50_000
        ? joined(fields)
        : put(Buffer.concat(Array(times + 1).fill(written(field))))
    }
    case 1: {
      const j = random.next(fields.length)
      return joined(fields.with(i, fields[j]).with(j, field))
    }
    case 2:
      return joined(fields.toSpliced(i, 1))
    case 3: {
      const piece = somewhere(random, other)
      return joined(fields.toSpliced(i, random.next(2), piece))
    }
    case 4:
      return withField({ tag: (random.pick([1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 100, 2 ** 20]) << 3) | (field.tag & 7) })
    case 5:
      return withField({ tag: wired(field, random.next(8)) })
    case 6:
      return withField({
        content: random.pick([Buffer.from([0xff, 0xfe]), Buffer.alloc(0), noise(random, 9), Buffer.from('\ud800x')]),
      })
    case 7:
      return put(Buffer.concat([varint(wired(field, 0)), varint(2 ** 53 - 1), Buffer.alloc(random.next(3), 0xff)]))
    case 8:
      return put(Buffer.concat([varint(wired(field, 3)), written(field), varint(wired(field, 4))]))
    case 9:
      return withField({ tag: wired(field, 2), content: nest(random, field.content) })
    case 10: {
      const length = random.chance(2)
        ? random.pick(lengths)
        : Math.max(0, field.content.length + random.pick([-2, -1, 1, 2, 40]))
      return put(Buffer.concat([varint(wired(field, 2)), varint(length), field.content]))
    }
    case 11:
      return put(
        Buffer.concat([
          varint(field.tag, random.next(11)),
          varint(field.content.length, random.next(11)),
          field.content,
        ]),
      )
    case 12: {
      const cut = random.next(field.content.length + 1)
      const halves = [field.content.subarray(0, cut), field.content.subarray(cut)]
      return put(joined(halves.map(content => ({ tag: field.tag, content }))))
    }
    case 13:
      return withField({ content: Buffer.concat([field.content, written(somewhere(random, other))]) })
    case 14:
      return joined(fields.toSorted(() => random.next(3) - 1))
    default:
      return withField({ content: blind(random, field.content, other) })
  }
}

/** A field from anywhere in a message. */
function somewhere(random: Random, bytes: Buffer): Field {
  let found: Field = { tag: 0x0a, content: bytes.subarray(0, 50) }
  for (let depth = random.next(9); depth >= 0; depth--) {
    const fields = fieldsOf((found.tag & 7) === 2 && depth < 8 ? found.content : bytes)
    if (fields === undefined || fields.length === 0) break
    found = random.pick(fields)
  }
  return found
}

/** The content inside many messages of one kind. */
function nest(random: Random, content: Buffer): Buffer {
  const tags = random.pick([[0x2a, 0x0a], [0x32, 0x0a, 0x12], [0x0a], [0x12], [0x0a, 0x12]])
  let inner = content.length > 2000 ? content.subarray(0, 2000) : content
  const depth = random.pick([1, 2, 10, 45, 49, 50, 51, 95, 100, 101, 400])
  for (let i = 0; i < depth; i++)
    inner = Buffer.concat([Buffer.from([tags[i % tags.length]]), varint(inner.length), inner])
  return inner
}
