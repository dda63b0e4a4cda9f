/** Expressions made of others: larger, deeper, put together anew, and smaller again. */
import type { Random } from '../support/otlp.ts'
import { type Expr, largest, sizeOf } from './grammar.ts'

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
      return [expr, ...expr.slice(1).flatMap(one => parts(one))]
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
      return ['all', ...expr.slice(1).map(one => changed(one, at, change))]
    case 'deep':
      return ['deep', expr[1], expr[2], changed(expr[3], at, change)]
    case 'between':
      return ['between', expr[1], expr[2], changed(expr[3], at, change), expr[4]]
    case 'count':
    case 'keys':
      return expr
  }
}

/** Something else around a part, or in its place. */
function replaced(random: Random, part: Expr, language: Language, donor: Expr): Expr {
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

/** Another number at a part that has one, or something else around it or in its place. */
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
        const [, ...rest] = part
        const at = random.next(rest.length + 1)
        if (random.chance(3) && rest.length > 1) rest.splice(at % rest.length, 1)
        else rest.splice(at, 0, random.chance(2) ? donor : random.pick(leaves[language]))
        return ['all', ...rest]
      }
    }
  }
  return replaced(random, part, language, donor)
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
