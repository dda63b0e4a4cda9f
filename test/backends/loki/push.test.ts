import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BufferPool } from '../../../core/pool.ts'
import { toJson } from '../../../backends/loki/json.ts'
import { type EntryLimits, type PushSettings, PushWriter } from '../../../backends/loki/push.ts'
import { LabelSet } from '../../../backends/loki/labels.ts'
import type { StreamChoice } from '../../../backends/loki/target.ts'
import { readRequest } from '../../../proto/request.ts'
import { expectedStreams, lastOfEach, readPush, readPushJson, type Streams } from '../../support/loki-push.ts'
import { encode } from '../../support/otlp-proto.ts'
import { flatten, requests } from '../../support/otlp.ts'

const all: StreamChoice = { choose: set => set }
const unlimited: EntryLimits = { lineSize: 0, metadataSize: 0, metadataEntries: 0, truncate: false }
const now = 1_767_225_600_123

interface Given {
  readonly resourceAttributes?: readonly string[]
  readonly fixed?: Record<string, string>
  readonly attributes?: readonly string[]
  readonly severity?: boolean
  readonly metadata?: boolean
  readonly limits?: Partial<EntryLimits>
}

const settingsOf = (given: Given): PushSettings => ({
  labels: {
    resourceAttributes: given.resourceAttributes ?? ['service.name', 'k8s.namespace.name'],
    fixed: given.fixed ?? {},
    metadata: given.metadata ?? true,
  },
  record: { attributes: given.attributes ?? [], severity: given.severity ?? false },
  limits: { ...unlimited, ...given.limits },
})

function push(body: Buffer, given: Given = {}, choice = all) {
  const writer = new PushWriter(settingsOf(given), choice, () => now)
  const pushed = writer.write(readRequest('logs', body).groups, undefined)
  const streams = readPush(pushed.entries.toProtobuf(undefined))
  const json = readPushJson(toJson(pushed.entries))
  return {
    streams,
    json,
    omitted: Object.fromEntries(pushed.omitted),
    demoted: pushed.demoted,
    names: pushed.demotedNames,
  }
}

describe('random requests, written in every way that protobuf allows', () => {
  const given = fc.record({
    resourceAttributes: fc.subarray(['service.name', 'k8s.namespace.name', 'a', 'ä']),
    attributes: fc.oneof(fc.constant([]), fc.subarray(['http.route', 'b', 'a'])),
    severity: fc.boolean(),
    fixed: fc.constantFrom<Record<string, string>>({}, { cluster: 'prod "1"\n' }),
  })

  test('are written as Loki would write them, and JSON says the same as protobuf', () => {
    fc.assert(
      fc.property(
        requests().filter(({ signal }) => signal === 'logs'),
        given,
        ({ body }, choices) => {
          const { streams, json, omitted } = push(body, choices)
          const expected = expectedStreams(flatten('logs', body), { ...choices, now: BigInt(now) * 1_000_000n })
          expect(omitted).toEqual({})
          expect(streams).toEqual(expected)
          expect(json).toEqual(lastOfEach(expected))
        },
      ),
      { numRuns: 400 },
    )
  })

  test('are written the same by a writer that has written others before, into memory used before', () => {
    const pool = new BufferPool()
    const writer = new PushWriter(settingsOf({}), all, () => now)
    fc.assert(
      fc.property(
        requests().filter(({ signal }) => signal === 'logs'),
        ({ body }) => {
          const { entries } = writer.write(readRequest('logs', body).groups, pool)
          const made = entries.toProtobuf(pool)
          expect(readPush(made)).toEqual(push(body).streams)
          entries.abandon()
          pool.give(made)
        },
      ),
      { numRuns: 100 },
    )
  })
})

type Value = string | number | boolean | { readonly [key: string]: unknown }
const valueOf = (value: Value): object => {
  if (typeof value === 'string') return { string_value: value }
  if (typeof value === 'boolean') return { bool_value: value }
  if (typeof value === 'number') return Number.isInteger(value) ? { int_value: value } : { double_value: value }
  return value
}
const attributes = (given: Record<string, Value> = {}) =>
  Object.entries(given).map(([key, value]) => ({ key, value: valueOf(value) }))

interface LogRecord {
  readonly time?: number | string
  readonly body?: Value
  readonly attributes?: Record<string, Value>
  readonly [field: string]: unknown
}

/** A request of one resource and one scope. */
const logs = (resource: Record<string, Value>, records: readonly LogRecord[]): Buffer =>
  encode('logs', {
    resource_logs: [
      {
        resource: { attributes: attributes(resource) },
        scope_logs: [
          {
            log_records: records.map(({ time = 1, body, attributes: given, ...more }) => ({
              time_unix_nano: String(time),
              ...(body === undefined ? {} : { body: valueOf(body) }),
              attributes: attributes(given),
              ...more,
            })),
          },
        ],
      },
    ],
  })

const labelsOf = (streams: Streams): unknown[] => Object.keys(streams).map(key => JSON.parse(key) as unknown)
const linesOf = (streams: Streams) => Object.values(streams).flat()

test.each<[string, Record<string, Value>, Record<string, string>]>([
  ['the name of the service', { 'service.name': 'shop' }, { service_name: 'shop' }],
  [
    'a container, where no service is named',
    { 'k8s.container.name': 'main' },
    { k8s_container_name: 'main', service_name: 'main' },
  ],
  ['nothing, where nothing is known', {}, { service_name: 'unknown_service' }],
  ['an empty name, which is none', { 'service.name': '' }, { service_name: 'unknown_service' }],
  ['a number', { 'service.name': 'a', 'k8s.namespace.name': 7 }, { service_name: 'a', k8s_namespace_name: '7' }],
  [
    'a map, which becomes several',
    { 'k8s.namespace.name': { kvlist_value: { values: [{ key: 'x.y', value: { string_value: '1' } }] } } },
    { service_name: 'unknown_service', k8s_namespace_name_x_y: '1' },
  ],
  ['quotes and line breaks', { 'service.name': 'a"b\\c\nd\u0001é' }, { service_name: 'a"b\\c\nd\u0001é' }],
])('labels of %s', (_, resource, labels) => {
  const resourceAttributes = ['service.name', 'k8s.namespace.name', 'k8s.container.name']
  const { streams } = push(logs(resource, [{ body: 'x' }]), { resourceAttributes })
  expect(labelsOf(streams)).toEqual([labels])
})

test('labels that Loki would refuse, or that are more than it takes, go with the entry', () => {
  const names = Array.from({ length: 17 }, (_, i) => `l${String(i).padStart(2, '0')}`)
  const resource = {
    'service.name': 'shop',
    ...Object.fromEntries(names.map(name => [name, name])),
    l03: 'x'.repeat(2049),
  }
  const { streams } = push(logs(resource, [{ body: 'x' }]), {
    resourceAttributes: names,
    fixed: { cluster: 'c', l00: 'fixed' },
  })
  const [labels] = labelsOf(streams) as [Record<string, string>]
  expect(Object.keys(labels)).toEqual(['cluster', 'l00', ...names.slice(1, 3), ...names.slice(4, 15), 'service_name'])
  expect(labels['l00']).toBe('fixed')
  const [{ metadata }] = linesOf(streams)
  expect(metadata.map(([name]) => name)).toEqual(['l00', 'l03', 'l15', 'l16'])
})

test.each([
  ['http.method', 'http_method'],
  ['a..b--c', 'a_b_c'],
  ['1st', 'key_1st'],
  ['_lead', '_lead'],
  ['__reserved.name__', '__reserved_name__'],
  ['__two', '_two'],
  ['naïve', 'na_ve'],
  ['', 'key_'],
  ['...', 'key_'],
  ['ключ', 'key_'],
])('the attribute `%s` is called %s', (key, name) => {
  const { streams } = push(logs({}, [{ body: 'x', attributes: { [key]: 'v' } }]))
  expect(linesOf(streams)[0].metadata).toEqual([[name, 'v']])
})

test('entries are sorted by time in each stream, those of one time stay as they came', () => {
  const request = Buffer.concat([
    logs({ 'service.name': 'a' }, [
      { time: 3, body: 'a3' },
      { time: 1, body: 'a1' },
    ]),
    logs({ 'service.name': 'b' }, [{ time: 2, body: 'b2' }]),
    logs({ 'service.name': 'a' }, [
      { time: 1, body: 'a1 too' },
      { time: 2, body: 'a2' },
    ]),
  ])
  const { streams } = push(request)
  const lines = Object.values(streams).map(all => all.map(({ line }) => line))
  expect(lines).toEqual([['a1', 'a1 too', 'a2', 'a3'], ['b2']])
})

test('what has no time has the same one when it is sent again', () => {
  let clock = now
  const writer = new PushWriter(settingsOf({}), all, () => clock++)
  const body = logs({}, [{ time: 0, body: 'x' }])
  const { groups } = readRequest('logs', body)
  const first = readPush(writer.write(groups, undefined).entries.toProtobuf(undefined))
  const again = readPush(writer.write(groups, undefined).entries.toProtobuf(undefined))
  expect(linesOf(first)[0].time).toBe(BigInt(now) * 1_000_000n)
  expect(again).toEqual(first)
})

test('lists and maps are JSON without what the Collector adds for HTML', () => {
  const body = { kvlist_value: { values: [{ key: 'k<', value: { string_value: '<b>&\\u003c\u2028' } }] } }
  expect(linesOf(push(logs({}, [{ body }])).streams)[0].line).toBe('{"k<":"<b>&\\\\u003c\\u2028"}')
})

describe('limits', () => {
  const many = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`a${i}`, i]))
  test.each<[string, LogRecord, Partial<EntryLimits>, Record<string, number>]>([
    ['a line as long as allowed', { body: 'x'.repeat(10) }, { lineSize: 10 }, {}],
    ['a line that is longer', { body: 'x'.repeat(11) }, { lineSize: 10 }, { line_too_long: 1 }],
    ['as many attributes as allowed', { attributes: many }, { metadataEntries: 12 }, {}],
    ['one attribute more', { attributes: many }, { metadataEntries: 11 }, { structured_metadata_too_many: 1 }],
    ['names and values as long as allowed', { attributes: { abc: 'def' } }, { metadataSize: 6 }, {}],
    ['a byte more', { attributes: { abc: 'def' } }, { metadataSize: 5 }, { structured_metadata_too_large: 1 }],
  ])('%s', (_, record, limits, omitted) => {
    const result = push(logs({}, [{ body: 'before' }, record, { body: 'after' }]), { limits })
    expect(result.omitted).toEqual(omitted)
    const lines = linesOf(result.streams).map(({ line }) => line)
    expect(lines.length).toBe(Object.keys(omitted).length === 0 ? 3 : 2)
    expect(lines[0]).toBe('before')
    expect(lines.at(-1)).toBe('after')
  })

  test('with `truncate` a line is cut between two characters, and says so', () => {
    const { streams, omitted } = push(logs({}, [{ body: 'é'.repeat(100) }]), {
      limits: { lineSize: 41, truncate: true },
    })
    expect(omitted).toEqual({})
    const [{ line }] = linesOf(streams)
    expect(line).toBe(`${'é'.repeat(10)} [cut from 200 bytes]`)
  })

  test('with `truncate` attributes are left out and counted, the fields of the record stay', () => {
    const record = { body: 'x', attributes: many, severity_number: 9, dropped_attributes_count: 1 }
    const limits = { metadataEntries: 6, truncate: true }
    const { streams, omitted } = push(logs({ 'host.name': 'h' }, [record, { body: 'y' }]), { limits })
    expect(omitted).toEqual({})
    const [{ metadata }, other] = linesOf(streams)
    expect(metadata.length).toBe(6)
    expect(Object.fromEntries(metadata)).toMatchObject({
      severity_number: '9',
      host_name: 'h',
      dropped_attributes_count: '10',
    })
    expect(other.metadata).toEqual([['host_name', 'h']])
  })

  test('with `truncate` an attribute too large for all is left out, the others stay', () => {
    const record = { body: 'x', attributes: { a: '1', large: 'x'.repeat(5000), b: '2' } }
    const { streams } = push(logs({}, [record]), { limits: { metadataSize: 1000, truncate: true } })
    expect(linesOf(streams)[0].metadata).toEqual([
      ['a', '1'],
      ['b', '2'],
      ['dropped_attributes_count', '1'],
    ])
  })

  test('a record that is none is left out, the others arrive', () => {
    const bad = Buffer.from([
      0x0a, 0x0e, 0x12, 0x0c, 0x12, 0x03, 0x08, 0xff, 0xff, 0x12, 0x05, 0x2a, 0x03, 0x0a, 0x01, 0x79,
    ])
    const { streams, omitted } = push(bad)
    expect(omitted).toEqual({ malformed: 1 })
    expect(linesOf(streams).map(({ line }) => line)).toEqual(['y'])
  })
})

test('without structured metadata there are lines and labels only', () => {
  const { streams } = push(logs({ 'service.name': 'a', host: 'h' }, [{ body: 'x', attributes: { a: 1 } }]), {
    metadata: false,
  })
  expect(linesOf(streams)[0].metadata).toEqual([])
})

test('a label that a stream may not have goes with the entry instead', () => {
  const without = (names: readonly string[]): StreamChoice => ({
    choose: ({ labels }) => new LabelSet(labels.filter(({ name }) => !names.includes(name))),
  })
  const request = logs({ 'service.name': 'a', 'k8s.namespace.name': 'n' }, [
    { body: 'x', attributes: { user: 'u', kind: 'k' } },
  ])
  const given = { attributes: ['user', 'kind'] }
  const { streams, demoted, names } = push(request, given, without(['user', 'k8s_namespace_name']))
  expect(labelsOf(streams)).toEqual([{ service_name: 'a', kind: 'k' }])
  expect(linesOf(streams)[0].metadata).toEqual([
    ['user', 'u'],
    ['k8s_namespace_name', 'n'],
  ])
  expect(demoted).toBe(1)
  expect([...names]).toEqual(['k8s_namespace_name', 'user'])
})

test.each([
  ['by its number', { severity_number: 17 }, 'error'],
  ['by its text, where there is no number', { severity_text: 'WARNING' }, 'warn'],
  ['not by a text that says nothing', { severity_text: 'loud' }, undefined],
  ['not where there is none', {}, undefined],
])('the level is told %s', (_, record, level) => {
  const { streams } = push(logs({}, [{ body: 'x', ...record }]), { severity: true })
  expect(labelsOf(streams)).toEqual([{ service_name: 'unknown_service', ...(level && { level }) }])
})
