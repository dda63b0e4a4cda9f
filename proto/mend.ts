/** Messages written anew with U+FFFD in place of what is no UTF-8. Rare, so this need not be quick, but it pauses. */
import { isText, type FieldRules } from './strict.ts'
import { Cursor, LENGTH, putVarint, varintSize } from './wire.ts'

/** Text that is decoded between two pauses. */
const stride = 64 * 1024

/** The most bytes that a byte of text that is none may become. */
export const mostGrowth = 3

/** Runs of bytes that together are a message. */
interface Rope {
  readonly parts: Buffer[]
  size: number
}

function add(rope: Rope, part: Buffer): void {
  rope.parts.push(part)
  rope.size += part.length
}

/**
 * The message between `start` and `end`, which a StrictReader has passed, with text in it mended and without the fields
 * that start where `without` says.
 */
export function* mended(
  rules: FieldRules,
  bytes: Buffer,
  start: number,
  end: number,
  without: ReadonlySet<number>,
): Generator<undefined, Buffer> {
  const rope = yield* changed(rules, bytes, start, end, without)
  return rope === undefined ? bytes.subarray(start, end) : Buffer.concat(rope.parts, rope.size)
}

/** The same as a rope, so that nothing is copied once per level; undefined where it may stay as it is. */
function* changed(
  rules: FieldRules,
  bytes: Buffer,
  start: number,
  end: number,
  without: ReadonlySet<number>,
): Generator<undefined, Rope | undefined> {
  const out: Rope = { parts: [], size: 0 }
  const cursor = new Cursor(bytes, start, end)
  let copied = start
  while (cursor.at < end) {
    const field = cursor.at
    const tag = cursor.tag()
    const rule = rules[tag >>> 3]
    if (without.has(field) || rule === undefined || (tag & 7) !== LENGTH) {
      cursor.skip(tag)
      if (!without.has(field)) continue
      add(out, bytes.subarray(copied, field))
      copied = cursor.at
      continue
    }
    const length = cursor.length()
    const from = cursor.at
    cursor.at = from + length
    let content: Rope | undefined
    if (rule.inner !== undefined) content = yield* changed(rule.inner, bytes, from, cursor.at, without)
    else if (rule.field.type === 'string' && !isText(bytes, from, cursor.at)) {
      content = yield* mendedText(bytes, from, cursor.at)
    }
    if (content === undefined) continue
    const head = Buffer.alloc(varintSize(tag) + varintSize(content.size))
    putVarint(head, putVarint(head, 0, tag), content.size)
    add(out, bytes.subarray(copied, field))
    add(out, head)
    for (const part of content.parts) add(out, part)
    copied = cursor.at
  }
  if (copied === start) return undefined
  add(out, bytes.subarray(copied, end))
  return out
}

function* mendedText(bytes: Buffer, from: number, to: number): Generator<undefined, Rope> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  const out: Rope = { parts: [], size: 0 }
  for (let at = from; at < to; at += stride) {
    const end = Math.min(at + stride, to)
    add(out, Buffer.from(decoder.decode(bytes.subarray(at, end), { stream: end < to })))
    if (end < to) yield
  }
  return out
}
