import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { readRequest } from '../../proto/request.ts'
import { type Field, messageNamed, messages } from '../../proto/schema.ts'
import { detailedText, normalText } from '../../proto/text.ts'
import { Range } from '../../proto/values.ts'
import { eachElement, eachPoint, findField, findMember, readField, readNumbers, readScalar } from '../../proto/views.ts'
import {
  countOf,
  decode,
  flatten,
  type Plain,
  Random,
  randomMessage,
  requests,
  untidy,
  type Untidiness,
} from '../support/otlp.ts'

/** Any message of the schema, written in some way that protobuf allows. */
const samples = fc
  .record({
    name: fc.constantFrom(...messages.keys()),
    seed: fc.integer(),
    order: fc.constantFrom<Untidiness['order']>('ascending', 'descending', 'shuffled'),
    padded: fc.boolean(),
    unknown: fc.boolean(),
    scattered: fc.boolean(),
    split: fc.boolean(),
  })
  .map(({ name, seed, ...how }) => {
    const random = new Random(seed)
    const bytes = untidy(random, name, randomMessage(random, name, 5), how)
    return { name, bytes, [fc.toStringMethod]: () => `${name} ${bytes.toString('hex')}` }
  })

/** A value as the oracle writes it. */
const oracleForm = (field: Field, value: unknown): unknown => {
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`
  return field.type.endsWith('64') ? String(value) : value
}

/** What protobuf takes a field for that is not set. */
const isZero = (value: unknown): boolean =>
  value === undefined || value === '' || value === '0x' || Object.is(value, 0) || value === '0' || value === false

test('each field of each message is what the oracle reads', () => {
  const range = new Range()
  fc.assert(
    fc.property(samples, ({ name, bytes }) => {
      const expected = decode(name, bytes)
      for (const field of messageNamed(name).fields) {
        const want = expected[field.name]
        if (field.oneof !== undefined) continue
        if (field.repeated && field.wire === 2) {
          const found: unknown[] = []
          eachElement(bytes, 0, bytes.length, field, (b, start, end) => {
            range.set(b, start, end)
            found.push(field.type === 'message' ? decode(field.of, b.subarray(start, end)) : readScalar(field, range))
          })
          expect(found).toEqual(want ?? [])
        } else if (field.repeated) {
          const found = readNumbers(bytes, 0, bytes.length, field).map(value => oracleForm(field, value))
          expect(found).toEqual(want ?? [])
        } else if (field.type === 'message') {
          const found = findField(bytes, 0, bytes.length, field, range)
          expect(found).toBe(want !== undefined)
          if (found) expect(decode(field.of, range.bytes.subarray(range.start, range.end))).toEqual(want)
        } else {
          const found = oracleForm(field, readField(bytes, 0, bytes.length, field))
          if (want === undefined) expect(found === 'undefined' || isZero(found)).toBe(true)
          else expect(found).toEqual(want)
        }
      }
    }),
    { numRuns: 2000 },
  )
})

test('of each oneof the member is found that the oracle finds', () => {
  const range = new Range()
  fc.assert(
    fc.property(samples, ({ name, bytes }) => {
      const message = messageNamed(name)
      const expected = decode(name, bytes)
      for (const oneof of new Set(message.fields.map(field => field.oneof).filter(o => o !== undefined))) {
        const member = findMember(bytes, 0, bytes.length, message, oneof, range)
        const want = message.fields.find(field => field.oneof === oneof && expected[field.name] !== undefined)
        expect(member?.name).toBe(want?.name)
        if (member === undefined) continue
        const content = range.bytes.subarray(range.start, range.end)
        const found =
          member.type === 'message' ? decode(member.of, content) : oracleForm(member, readScalar(member, range))
        expect(found).toEqual(expected[member.name])
      }
    }),
    { numRuns: 2000 },
  )
})

test('the points of a metric are those the oracle reads', () => {
  fc.assert(
    fc.property(samples, ({ bytes, name }) => {
      fc.pre(name === 'Metric')
      const points: Plain[] = []
      eachPoint(bytes, 0, bytes.length, (message, b, start, end) =>
        points.push(decode(message.name, b.subarray(start, end))),
      )
      const expected = decode('Metric', bytes)
      const kind = ['gauge', 'sum', 'histogram', 'exponential_histogram', 'summary'].find(
        k => expected[k] !== undefined,
      )
      const want = kind === undefined ? [] : ((expected[kind] as Plain)['data_points'] ?? [])
      expect(points).toEqual(want)
      expect(points.length).toBe(countOf('metrics', expected))
    }),
    { numRuns: 200, maxSkipsPerRun: 1000 },
  )
})

test('text shows every item, and every attribute key that people can see', () => {
  fc.assert(
    fc.property(requests(), ({ signal, body }) => {
      const { groups } = readRequest(signal, body)
      const detailed = detailedText(signal, groups)
      const normal = normalText(signal, groups)
      expect(detailed + normal).not.toContain('<malformed')
      const items = flatten(signal, body)
      const list = { traces: /^ {4}spans #\d+$/gm, logs: /^ {4}log_records #\d+$/gm, metrics: /^ {4}metrics #\d+$/gm }[
        signal
      ]
      expect(detailed.match(list)?.length ?? 0).toBe(items.length)
      for (const { item } of items) {
        if (typeof item['name'] === 'string' && !item['name'].includes('\u0000'))
          expect(detailed).toContain(item['name'])
      }
    }),
    { numRuns: 300 },
  )
})
