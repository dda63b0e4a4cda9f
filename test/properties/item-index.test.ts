import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from '../../proto/actions.ts'
import { ItemIndex } from '../../proto/item-index.ts'
import { type Field, messageNamed } from '../../proto/schema.ts'
import { type Signal, signals } from '../../proto/signals.ts'
import { Range } from '../../proto/values.ts'
import { findField } from '../../proto/views.ts'
import { Cursor, WireError } from '../../proto/wire.ts'
import { decode, encode, type Plain, Random, randomMessage, tidy, untidy } from '../support/otlp.ts'

const fieldsOf = (message: string): readonly Field[] =>
  messageNamed(message).fields.filter(({ repeated, oneof }) => !repeated && oneof === undefined)

const cases = fc.record({
  signal: fc.constantFrom<Signal>('traces', 'logs', 'metrics'),
  seed: fc.integer(),
  how: fc.record({
    order: fc.constantFrom('ascending' as const, 'descending' as const, 'shuffled' as const),
    padded: fc.boolean(),
    unknown: fc.boolean(),
    scattered: fc.boolean(),
    split: fc.boolean(),
  }),
  asked: fc.array(fc.nat(), { minLength: 1, maxLength: 6 }),
})

/** Fields that the schema does not have, as they stand. */
function unknownOf(message: string, bytes: Buffer): string[] {
  const cursor = new Cursor(bytes)
  const found: string[] = []
  while (cursor.at < cursor.end) {
    const start = cursor.at
    const tag = cursor.tag()
    cursor.skip(tag)
    if (messageNamed(message).byNumber[tag >>> 3] === undefined) found.push(bytes.toString('hex', start, cursor.at))
  }
  return found
}

test('edits on the bytes are what decoding, changing and encoding does', () => {
  fc.assert(
    fc.property(cases, ({ signal, seed, how, asked }) => {
      const random = new Random(seed)
      const { item } = signals[signal]
      const all = fieldsOf(item)
      const fields = [...new Set(asked.map(i => all[i % all.length]))]
      const bytes = untidy(random, item, randomMessage(random, item), how)
      const donor = untidy(random, item, randomMessage(random, item), tidy)
      const before = decode(item, bytes)
      const other = decode(item, donor)
      const index = new ItemIndex(item, ...fields.map(({ name }) => name))
      index.load(bytes, 0, bytes.length)
      const expected: Plain = { ...before }
      const range = new Range()
      fields.forEach((field, i) => {
        const found = findField(bytes, 0, bytes.length, field, range)
        const wanted = Buffer.from(range.bytes.subarray(range.start, range.end))
        expect(index.find(i, range)).toBe(found)
        if (found) expect(Buffer.from(range.bytes.subarray(range.start, range.end))).toEqual(wanted)
        const what = random.next(3)
        if (what === 0) return
        delete expected[field.name]
        if (what === 1) index.remove(i)
        else if (findField(donor, 0, donor.length, field, range)) {
          index.set(i, range.bytes.subarray(range.start, range.end))
          expect(index.find(i, range)).toBe(true)
          if (other[field.name] !== undefined) expected[field.name] = other[field.name]
        } else index.remove(i)
      })
      const out = new Arena(16)
      const changed = index.write(out)
      const written = changed ? out.bytes.subarray(out.from, out.at) : bytes
      expect(decode(item, written)).toEqual(expected)
      expect(unknownOf(item, written)).toEqual(unknownOf(item, bytes))
    }),
    { numRuns: 600 },
  )
})

test('what is set to what it is, and taken away where it is not, is no edit', () => {
  const bytes = encode('LogRecord', { severity_text: 'WARN' })
  const index = new ItemIndex('LogRecord', 'severity_text', 'event_name')
  index.load(bytes, 0, bytes.length)
  index.set(0, Buffer.from('WARN'))
  index.remove(1)
  expect(index.write(new Arena(16))).toBe(false)
})

test('one message after the other: an edit belongs to one', () => {
  const index = new ItemIndex('Span', 'name', 'flags')
  const out = new Arena(16)
  const span = encode('Span', { name: 'a' })
  index.load(span, 0, span.length)
  index.set(0, Buffer.from('b'))
  index.set(1, Buffer.from([1, 0, 0, 0]))
  expect([index.text(0), index.value(1), index.write(out)]).toEqual(['b', 1, true])
  expect(decode('Span', out.bytes.subarray(out.from, out.at))).toEqual({ name: 'b', flags: 1 })
  index.load(span, 0, span.length)
  expect([index.text(0), index.value(1), index.write(out)]).toEqual(['a', undefined, false])
})

test('lists and members of a oneof are not asked for in this way; another wire type is an error', () => {
  expect(() => new ItemIndex('Span', 'events')).toThrow('the field events of Span is not a single value')
  expect(() => new ItemIndex('Metric', 'gauge')).toThrow(TypeError)
  const index = new ItemIndex('Span', 'name')
  expect(() => index.load(Buffer.from([0x28, 1]), 0, 2)).toThrow(WireError)
})
