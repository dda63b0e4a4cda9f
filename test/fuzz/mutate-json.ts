/** Mutations of JSON texts: by characters, and by members and values. */
import type { Random } from '../support/otlp.ts'
import { blind } from './mutate-bytes.ts'

/** A mutated copy of the text `base`, with parts of `other` now and then. */
export function mutateJson(random: Random, base: Buffer, other: Buffer): Buffer {
  let text = base.toString('latin1')
  const donor = other.toString('latin1')
  for (let left = 1 + (random.chance(2) ? 0 : random.next(5)); left > 0; left--) {
    text = random.chance(5) ? blind(random, latin1(text), other).toString('latin1') : byParts(random, text, donor)
    if (text.length > 200_000) break
  }
  return latin1(text)
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')
/** UTF-8 in a text that stands for bytes. */
const utf8 = (text: string): string => Buffer.from(text).toString('latin1')

const values = [
  '1e999',
  '-1e999',
  '1e-400',
  '-0',
  '0',
  '01',
  '.5',
  '1.',
  '+1',
  '0x10',
  '1e',
  '--1',
  '1e+5',
  '1E3',
  '2.5',
  '-1',
  '18446744073709551615',
  '18446744073709551616',
  '9223372036854775808',
  '-9223372036854775809',
  '4294967296',
  '"18446744073709551616"',
  '"1e3"',
  '"1.0"',
  '"0x10"',
  '" 1"',
  '""',
  '"NaN"',
  '"Infinity"',
  '"-Infinity"',
  'NaN',
  'true',
  'false',
  'null',
  'nul',
  '[]',
  '{}',
  '[null]',
  '[{}]',
  '[[]]',
  '{"a":{}}',
  '"true"',
  'undefined',
  '"\\ud800"',
  '"\\udc00\\ud800"',
  '"\\ud83e\\udd8a"',
  '"\\u00"',
  '"\\x41"',
  '"\\"',
  '"\\u0000"',
  '"\\/\\b\\f"',
  '"\n"',
  '"\t"',
  '"\u0000"',
  '"\u00ff"',
  '"\u00ed\u00a0\u0080"',
  utf8('"ä✓🦊"'),
  utf8('"\ufeff"'),
  '"AA=="',
  '"AA="',
  '"A"',
  '"-_"',
  '"+/"',
  '"A A="',
  '"0g"',
  '"ABC"',
  `"${'ab'.repeat(16)}"`,
  `"${'AB'.repeat(8)}"`,
  '"SPAN_KIND_CLIENT"',
  '"SPAN_KIND_"',
  '"STATUS_CODE_ERROR"',
  '"AGGREGATION_TEMPORALITY_DELTA"',
  '300',
  '-2147483649',
  '{"stringValue":"x","intValue":1}',
  '{"intValue":"9007199254740993"}',
  '{"bytesValue":"AAE"}',
  '{"doubleValue":"NaN"}',
  '{"arrayValue":{"values":[{},null,{"boolValue":true}]}}',
  '{"kvlistValue":{"values":[{"key":"k"}]}}',
  '{"value":null}',
]
const keys = [
  'attributes',
  'value',
  'key',
  'stringValue',
  'intValue',
  'arrayValue',
  'values',
  'kind',
  'traceId',
  'spans',
]
const moreKeys = [
  'time_unix_nano',
  'timeUnixNano',
  'data_points',
  'dataPoints',
  'gauge',
  'sum',
  'flags',
  'x',
  '',
  'body',
]
const odd = [
  '//c\n',
  '/**/',
  ',',
  ',,',
  ':',
  '"',
  '\\',
  '{',
  '}',
  '[',
  ']',
  ' ',
  '\r\n\t',
  '\u00a0',
  '\u00ef\u00bb\u00bf',
  '\u0000',
]

/** A mutation of a member or value that stands somewhere in the text. */
function byParts(random: Random, text: string, donor: string): string {
  const at = random.next(text.length + 1)
  switch (random.next(12)) {
    case 0:
    case 1:
      return replaced(text, valueAt(text, at), random.pick(values))
    case 2:
    case 3:
    case 6:
      return byMembers(random, text, donor, at)
    case 4: {
      const key = keyAt(text, at)
      return key === undefined ? text : replaced(text, key, `"${random.pick(random.chance(2) ? keys : moreKeys)}"`)
    }
    case 5: {
      const from = valueAt(donor, random.next(donor.length + 1))
      return from === undefined ? text : replaced(text, valueAt(text, at), donor.slice(...from))
    }
    case 7:
      return text.slice(0, at) + random.pick(odd) + text.slice(at)
    case 8:
      return replaced(text, valueAt(text, at), longNumber(random))
    case 9:
      return nested(random, text, valueAt(text, at))
    case 10: {
      const key = keyAt(text, at)
      if (key === undefined) return text
      // The same key, in escapes.
      const escaped = text
        .slice(key[0] + 1, key[1] - 1)
        .replace(/^./, c => `\\u00${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
      return replaced(text, key, `"${escaped}"`)
    }
    default: {
      const value = valueAt(text, at)
      if (value === undefined) return text
      const quoted = text.slice(...value)
      return replaced(text, value, quoted.startsWith('"') ? quoted.slice(1, -1) : `"${quoted.slice(0, 40)}"`)
    }
  }
}

/** A mutation of the member that stands next from `at` on: once more, gone, or with one of `donor` before it. */
function byMembers(random: Random, text: string, donor: string, at: number): string {
  const member = memberAt(text, at)
  if (member === undefined) return text
  const [start, end] = member
  const copy = text.slice(start, end)
  switch (random.next(3)) {
    case 0: {
      const changed = random.chance(2) ? copy : replaced(copy, valueAt(copy, 0), random.pick(values))
      return replaced(text, member, random.chance(2) ? `${changed},${copy}` : `${copy},${changed}`)
    }
    case 1:
      return replaced(text, member, '')
    default: {
      const from = memberAt(donor, random.next(donor.length + 1))
      return from === undefined ? text : `${text.slice(0, start)}${donor.slice(...from)},${text.slice(start)}`
    }
  }
}

type Range = readonly [start: number, end: number]

const replaced = (text: string, range: Range | undefined, by: string): string =>
  range === undefined ? text : text.slice(0, range[0]) + by + text.slice(range[1])

function longNumber(random: Random): string {
  const digits = String(random.next(10)).repeat(random.pick([19, 20, 21, 40, 400, 5000]))
  const number = random.pick([
    digits,
    `-${digits}`,
    `0.${digits}`,
    `${digits}e-${digits.length}`,
    `${digits}.${digits}`,
    `1e${digits}`,
  ])
  return random.chance(3) ? `"${number}"` : number
}

function nested(random: Random, text: string, range: Range | undefined): string {
  if (range === undefined) return text
  const [open, close] = random.pick([
    ['[', ']'],
    ['{"x":', '}'],
    ['{"arrayValue":{"values":[', ']}}'],
    ['{"kvlistValue":{"values":[{"key":"k","value":', '}]}}'],
  ])
  const depth = random.pick([1, 2, 20, 33, 49, 50, 51, 99, 100, 101, 1000])
  const ends = random.chance(5) ? '' : close.repeat(depth)
  return replaced(text, range, `${open.repeat(depth)}${text.slice(...range).slice(0, 1000)}${ends}`)
}

/** The key that stands next from `at` on, with its quotes. */
function keyAt(text: string, at: number): Range | undefined {
  const pattern = /"(?:[^"\\]|\\.)*"\s*:/g
  pattern.lastIndex = at
  const match = pattern.exec(text)
  return match === null ? undefined : [match.index, match.index + match[0].lastIndexOf('"') + 1]
}

/** The value behind the key that stands next. */
function valueAt(text: string, at: number): Range | undefined {
  const key = keyAt(text, at)
  if (key === undefined) return undefined
  let start = text.indexOf(':', key[1]) + 1
  while (/\s/.test(text.charAt(start))) start++
  return [start, endOf(text, start)]
}

function memberAt(text: string, at: number): Range | undefined {
  const key = keyAt(text, at)
  const value = valueAt(text, at)
  return key === undefined || value === undefined ? undefined : [key[0], value[1]]
}

/** Where the value that starts at `start` ends, brackets balanced. */
function endOf(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const c = text[at]
    if (c === '"') {
      for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === '\\') at++
      if (depth === 0) return Math.min(at + 1, text.length)
    } else if (c === '{' || c === '[') depth++
    else if (c === '}' || c === ']') {
      if (depth === 0) return at
      if (--depth === 0) return at + 1
    } else if (c === ',' && depth === 0) return at
  }
  return text.length
}
