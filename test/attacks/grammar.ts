/**
 * Inputs as small expressions: what repeats, what nests, what counts up. A body of 40 MB is a line of text, which can be
 * changed where it matters (how often, how deep, what) and is kept as it is.
 */
import { type Random } from '../support/otlp.ts'
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
      return expr.slice(1).reduce<number>((sum, one) => sum + sizeOf(one as Expr), 0)
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
      return Buffer.concat(expr.slice(1).map(one => made(one as Expr)))
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
  return Buffer.concat([...heads.reverse(), leaf])
}

/** Languages in which inputs are written. */
export type Language = 'protobuf' | 'json' | 'yaml'

const numbers = [0, 1, 2, 16, 60, 99, 101, 127, 128, 995, 4096, 65_535, 100_000, 1_000_000]
const leaves: Readonly<Record<Language, readonly string[]>> = {
  protobuf: [
    '',
    'x',
    'hex:0a00',
    'hex:1200',
    'hex:1a00',
    'hex:2a00',
    'hex:3a00',
    'hex:4a00',
    'hex:7a00',
    'hex:0800',
    'hex:0900000000',
    'hex:08ffffffffffffffffff01',
    'hex:f80701',
    'hex:0b0c',
    'hex:fffe',
    'hex:0a0012000a00',
    'service.name',
    'a',
    'é',
    'hex:c3',
    'hex:310100000000000000',
    'hex:0a0161',
    'hex:120161',
    'hex:0a000a00',
    'hex:0d00000000',
    'hex:8080808000',
  ],
  json: [
    '{}',
    '[]',
    '{},',
    '""',
    '"\\u0000"',
    '\\u0000',
    '"x":1,',
    '0',
    '1e-300,',
    '18446744073709551615',
    '"a":{},',
    ' ',
    '\n',
    'null,',
    'true,',
    '"__proto__":{},',
    '"resource":{},',
    '"scopeLogs":[{}],',
    '"body":{"stringValue":"x"},',
    '"attributes":[],',
    '{"key":"a"},',
    '"timeUnixNano":"1",',
    '"traceId":"00",',
    '"bytesValue":"AA==",',
    '\\ud800',
    '"scopeSpans":[],',
    '"gauge":{},',
    '"dataPoints":[{}],',
    'é',
    '-',
    '.',
    '"',
  ],
  yaml: [
    '{}',
    '[]',
    'a: 1\n',
    '? ',
    '- ',
    '*a ',
    '&a ',
    '!!str ',
    '|\n',
    '"\\u0000"',
    '${env:X}',
    '${env:X:-y}',
    '$$',
    '#\n',
    ' ',
    '\t',
    ': ',
    ', ',
    'batch: {}\n',
    '  otlp: {}\n',
    '"x"',
    "'",
    '<<: *a\n',
    '---\n',
    '...\n',
    '%',
    'é',
    '0x',
    '1e9',
    '${',
    '}',
    '[[',
    '{{',
  ],
}

/** A number near another, or one of those that are edges. */
function anotherNumber(random: Random, n: number): number {
  switch (random.next(6)) {
    case 0:
      return n * 2
    case 1:
      return n * 10
    case 2:
      return n >> 1
    case 3:
      return n + 1
    case 4:
      return Math.max(0, n - 1)
    default:
      return random.pick(numbers)
  }
}

/** All expressions within one, itself too. */
export function parts(expr: Expr): Expr[] {
  if (typeof expr === 'string') return [expr]
  switch (expr[0]) {
    case 'times':
    case 'field':
      return [expr, ...parts(expr[2])]
    case 'all':
      return [expr, ...expr.slice(1).flatMap(one => parts(one as Expr))]
    case 'deep':
    case 'between':
      return [expr, ...parts(expr[3])]
    case 'count':
    case 'keys':
      return [expr]
  }
}

/** The expression with `change` done to the part of that number, counted as `parts` does. */
function changed(expr: Expr, at: { left: number }, change: (part: Expr) => Expr): Expr {
  if (at.left-- === 0) return change(expr)
  if (typeof expr === 'string') return expr
  switch (expr[0]) {
    case 'times':
      return ['times', expr[1], changed(expr[2], at, change)]
    case 'field':
      return ['field', expr[1], changed(expr[2], at, change)]
    case 'all':
      return ['all', ...expr.slice(1).map(one => changed(one as Expr, at, change))]
    case 'deep':
      return ['deep', expr[1], expr[2], changed(expr[3], at, change)]
    case 'between':
      return ['between', expr[1], expr[2], changed(expr[3], at, change), expr[4]]
    case 'count':
    case 'keys':
      return expr
  }
}

/** Another number at a part that has one; others become something else around or in place of them. */
function turned(random: Random, part: Expr, language: Language, donor: Expr): Expr {
  if (typeof part !== 'string' && random.next(10) < 6) {
    switch (part[0]) {
      case 'times':
        return ['times', anotherNumber(random, part[1]), part[2]]
      case 'field':
        return ['field', 1 + random.next(random.chance(4) ? 300 : 16), part[2]]
      case 'deep':
        return random.chance(2)
          ? ['deep', anotherNumber(random, part[1]), part[2], part[3]]
          : ['deep', part[1], 1 + random.next(16), part[3]]
      case 'between':
        return ['between', anotherNumber(random, part[1]), part[2], part[3], part[4]]
      case 'count':
        return ['count', anotherNumber(random, part[1]), part[2], part[3]]
      case 'keys':
        return ['keys', anotherNumber(random, part[1]), part[2], random.pick(['k', '', 'token', 'a'.repeat(100)])]
      case 'all': {
        const rest = [...part.slice(1)] as Expr[]
        const at = random.next(rest.length + 1)
        if (random.chance(3) && rest.length > 1) rest.splice(at % rest.length, 1)
        else rest.splice(at, 0, random.chance(2) ? donor : random.pick(leaves[language]))
        return ['all', ...rest]
      }
    }
  }
  switch (random.next(6)) {
    case 0:
      return ['times', random.pick(numbers), part]
    case 1:
      return language === 'protobuf'
        ? ['field', 1 + random.next(16), part]
        : ['all', random.pick(leaves[language]), part]
    case 2:
      return ['all', part, donor]
    case 3: {
      if (language === 'protobuf') return ['deep', random.pick(numbers), 1 + random.next(16), part]
      const [open, close] = random.pick(brackets[language])
      return ['between', random.pick(numbers), open, part, close]
    }
    case 4:
      return donor
    default:
      return random.pick(leaves[language])
  }
}

const brackets: Readonly<Record<'json' | 'yaml', readonly (readonly [string, string])[]>> = {
  json: [
    ['[', ']'],
    ['{"a":', '}'],
    ['{"arrayValue":{"values":[', ']}}'],
  ],
  yaml: [
    ['[', ']'],
    ['{a: ', '}'],
    ['- ', ''],
    ['? ', ''],
  ],
}

/** Another expression in the same language, of no more than `largest` bytes; `donor` gives parts of itself. */
export function mutate(random: Random, expr: Expr, language: Language, donor: Expr): Expr {
  for (let tries = 0; tries < 20; tries++) {
    let next = expr
    for (let left = 1 + random.next(3); left > 0; left--) {
      const given = random.pick(parts(donor))
      const at = { left: random.next(parts(next).length) }
      next = changed(next, at, part => turned(random, part, language, given))
    }
    // Descriptions stay small.
    if (JSON.stringify(next).length <= 600 && sizeOf(next) <= largest && counted(next) <= 2_000_000) return next
  }
  return expr
}

/** The most that is made one by one. */
function counted(expr: Expr): number {
  const numbered = parts(expr).map(part =>
    typeof part !== 'string' && (part[0] === 'count' || part[0] === 'keys' || part[0] === 'deep') ? part[1] : 0,
  )
  return Math.max(...numbered)
}

/** The same with each number smaller, one after the other: what a find is tried to be made of. */
export function* smaller(expr: Expr): Iterable<Expr> {
  const all = parts(expr)
  for (const [i, part] of all.entries()) {
    if (typeof part === 'string') continue
    if (part[0] !== 'field' && part[0] !== 'all' && part[1] > 1) {
      for (const by of [16, 2]) {
        const less = Math.floor(part[1] / by)
        if (less > 0) yield changed(expr, { left: i }, () => [part[0], less, ...part.slice(2)] as unknown as Expr)
      }
    }
    if (part[0] === 'all' && part.length > 2) {
      for (let leave = 1; leave < part.length; leave++) {
        yield changed(expr, { left: i }, () => part.filter((_, at) => at !== leave) as unknown as Expr)
      }
    }
  }
}
