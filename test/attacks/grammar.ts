/**
 * Inputs as small expressions: what repeats, what nests, what counts up. A body of 40 MB is a line of text, which can be
 * changed where it matters (how often, how deep, what) and is kept as it is.
 */
import { field, varint } from './bodies.ts'

/** What bytes are made of. */
export type Expr =
  /** The text itself; bytes in hexadecimal behind `hex:`. */
  | string
  /** So many times. */
  | readonly ['times', number, Expr]
  /** One behind the other. */
  | readonly ['all', ...Expr[]]
  /** A field of protobuf. */
  | readonly ['field', number, Expr]
  /** Fields in fields. */
  | readonly ['deep', number, number, Expr]
  /** Text within text. */
  | readonly ['between', number, string, Expr, string]
  /** So many texts in ASCII, each with another number in it. */
  | readonly ['count', number, string, string]
  /** So many attributes with different keys, of a beginning in ASCII of at most 100 letters, as fields of this number. */
  | readonly ['keys', number, number, string]

/** Most bytes an expression may stand for. */
export const largest = 48_000_000

const bytesOf = (text: string): Buffer =>
  text.startsWith('hex:') ? Buffer.from(text.slice(4), 'hex') : Buffer.from(text)

/** How many digits numbers below `n` have together. */
function digits(n: number): number {
  let sum = 0
  for (let from = 0, to = 10, width = 1; from < n; from = to, to *= 10, width++) sum += (Math.min(n, to) - from) * width
  return sum
}

/** Bytes of a varint. */
function widthOf(n: number): number {
  let width = 1
  for (let left = n; left >= 128; left = Math.floor(left / 128)) width++
  return width
}

/** Bytes that an expression stands for; Infinity beyond all bounds. */
export function sizeOf(expr: Expr): number {
  if (typeof expr === 'string') return bytesOf(expr).length
  switch (expr[0]) {
    case 'times':
      return expr[1] * sizeOf(expr[2])
    case 'all':
      return expr.slice(1).reduce<number>((sum, one) => sum + sizeOf(one), 0)
    case 'field':
      return framed(expr[1], sizeOf(expr[2]))
    case 'deep': {
      let size = sizeOf(expr[3])
      // Heads grow by the logarithm; a depth that is out of all bounds is not walked.
      if (expr[1] > largest) return Infinity
      for (let i = 0; i < expr[1] && size <= largest; i++) size = framed(expr[2], size)
      return size
    }
    case 'between':
      return expr[1] * (bytesOf(expr[2]).length + bytesOf(expr[4]).length) + sizeOf(expr[3])
    case 'count':
      return expr[1] * (expr[2].length + expr[3].length) + digits(expr[1])
    case 'keys':
      return expr[1] * (widthOf(expr[2] * 8 + 2) + expr[3].length + 8) + digits(expr[1])
  }
}

const framed = (number: number, size: number): number =>
  size > largest ? Infinity : widthOf(number * 8 + 2) + widthOf(size) + size

/** The bytes. @throws RangeError where they are too many */
export function make(expr: Expr): Buffer {
  if (sizeOf(expr) > largest) throw new RangeError('the expression stands for too many bytes')
  return made(expr)
}

function made(expr: Expr): Buffer {
  if (typeof expr === 'string') return bytesOf(expr)
  switch (expr[0]) {
    case 'times': {
      const one = made(expr[2])
      return one.length === 0 || expr[1] <= 0 ? Buffer.alloc(0) : Buffer.alloc(one.length * expr[1], one)
    }
    case 'all':
      return Buffer.concat(expr.slice(1).map(one => made(one)))
    case 'field':
      return field(expr[1], made(expr[2]))
    case 'deep':
      return deep(expr[1], expr[2], made(expr[3]))
    case 'between':
      return Buffer.concat([
        Buffer.from(bytesOf(expr[2]).toString('latin1').repeat(expr[1]), 'latin1'),
        made(expr[3]),
        Buffer.from(bytesOf(expr[4]).toString('latin1').repeat(expr[1]), 'latin1'),
      ])
    case 'count': {
      const [, n, before, after] = expr
      return Buffer.from(Array.from({ length: n }, (_, i) => `${before}${i}${after}`).join(''), 'latin1')
    }
    case 'keys': {
      const [, n, number, prefix] = expr
      const tag = varint(number * 8 + 2).toString('latin1')
      // Short, so that each length is one byte.
      const all = Array.from({ length: n }, (_, i) => {
        const key = `${prefix}${i}`
        return `${tag}${String.fromCharCode(key.length + 7)}\n${String.fromCharCode(key.length)}${key}\x12\x03\n\x01v`
      })
      return Buffer.from(all.join(''), 'latin1')
    }
  }
}

/** Heads of all levels before the leaf, written from the inside without copying what is inside. */
function deep(depth: number, number: number, leaf: Buffer): Buffer {
  const tag = varint(number * 8 + 2)
  const heads: Buffer[] = []
  let size = leaf.length
  for (let i = 0; i < depth; i++) {
    const length = varint(size)
    heads.push(length, tag)
    size += tag.length + length.length
  }
  return Buffer.concat([...heads.toReversed(), leaf])
}
