import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { mergeBatches } from '../../../core/merge.ts'
import { groupByAttrs } from '../../../processors/groupbyattrs/groupbyattrs.ts'
import { batch as batchProcessor } from '../../../processors/batch.ts'
import { encodeGroups } from '../../../proto/group.ts'
import { allSignals, type Signal } from '../../../proto/signals.ts'
import { encodeField } from '../../../proto/values.ts'
import { batchOf } from '../../support/batches.ts'
import { toyGraph } from '../../support/graph.ts'
import { encode, type FlatItem, flatten, type Plain, requests } from '../../support/otlp.ts'
import {
  attributesOf,
  carriersOf,
  metricKinds,
  ordered,
  processAll,
  processOne,
  withAttributes,
} from '../../support/processing.ts'

type Values = Record<string, unknown>

/** A traces request: for each resource its attributes, and the names and attributes of its spans. */
const traces = (...resources: [Values, Record<string, Values>, string?][]): Buffer =>
  encode('ExportTraceServiceRequest', {
    resource_spans: resources.map(([attributes, spans, scope = 's']) => ({
      resource: { attributes: withAttributes(attributes) },
      scope_spans: [
        {
          scope: { name: scope },
          spans: Object.entries(spans).map(([name, values]) => ({ name, attributes: withAttributes(values) })),
        },
      ],
    })),
  })

/** What came out: for each group its resource, and by scope the names of its spans with their attributes. */
function outline(body: Buffer) {
  const groups = new Map<string, Record<string, Values>>()
  for (const { resource, scope, item } of flatten('traces', body)) {
    const key = JSON.stringify([attributesOf(resource), (scope as Plain)['name']])
    const spans = groups.get(key) ?? {}
    spans[String(item['name'])] = attributesOf(item)
    groups.set(key, spans)
  }
  return [...groups].map(([key, spans]) => [...(JSON.parse(key) as [Values, string]), spans])
}

test('spans move to a resource of the values they have, and lose them', async () => {
  const body = traces([
    { cluster: 'eu' },
    {
      one: { host: 'a', x: 1 },
      two: { host: 'b' },
      three: { x: 2, host: 'a' },
      four: {},
    },
  ])
  const { body: out, groups } = await processOne(groupByAttrs, { keys: ['host'] }, 'traces', body)
  expect(outline(out)).toEqual([
    [{ cluster: 'eu', host: 'a' }, 's', { one: { x: '1' }, three: { x: '2' } }],
    [{ cluster: 'eu', host: 'b' }, 's', { two: {} }],
    [{ cluster: 'eu' }, 's', { four: {} }],
  ])
  expect(groups).toBe(3)
})

test('several keys, of which an item may have some; a value takes the place of the resource’s own', async () => {
  const body = traces([
    { host: 'old', b: 'x' },
    { one: { host: 'a', pod: 'p' }, two: { pod: 'p' }, three: { host: 'a', pod: 'p' } },
  ])
  const { body: out, groups } = await processOne(groupByAttrs, { keys: ['host', 'pod', 'none'] }, 'traces', body)
  expect(outline(out)).toEqual([
    [{ host: 'a', b: 'x', pod: 'p' }, 's', { one: {}, three: {} }],
    [{ host: 'old', b: 'x', pod: 'p' }, 's', { two: {} }],
  ])
  expect(groups).toBe(2)
})

test('without keys, groups of the same resource and scopes of the same name become one', async () => {
  const body = traces(
    [{ a: 1, b: 2 }, { one: {} }],
    [{ c: 3 }, { two: {} }],
    [{ b: 2, a: 1 }, { three: { host: 'x' } }],
    [{ a: 1, b: 2 }, { four: {} }, 'other'],
  )
  const { body: out, groups } = await processOne(groupByAttrs, {}, 'traces', body)
  expect(outline(out)).toEqual([
    [{ a: '1', b: '2' }, 's', { one: {}, three: { host: 'x' } }],
    [{ a: '1', b: '2' }, 'other', { four: {} }],
    [{ c: '3' }, 's', { two: {} }],
  ])
  expect(groups).toBe(2)
})

test('what needs no regrouping goes on as the same bytes', async () => {
  const body = traces([{ a: 1 }, { one: { x: 1 } }], [{ a: 2 }, { two: {} }])
  const { body: out } = await processOne(groupByAttrs, { keys: ['host'] }, 'traces', body)
  expect(out.equals(body)).toBe(true)
})

test('groups that differ in more than their attributes stay apart', async () => {
  const group = (more: object) => ({ resource: {}, scope_logs: [{ log_records: [{}] }], ...more })
  const body = encode('ExportLogsServiceRequest', {
    resource_logs: [
      group({}),
      group({ schema_url: 'x' }),
      group({ resource: { dropped_attributes_count: 1 } }),
      group({}),
    ],
  })
  expect((await processOne(groupByAttrs, {}, 'logs', body)).groups).toBe(3)
})

test.each(metricKinds)('data points of a %s part, and those of one metric stay together', async kind => {
  const point = (host: string | undefined, time_unix_nano: number) => ({
    attributes: withAttributes(host === undefined ? { x: 1 } : { x: 1, host }),
    time_unix_nano,
  })
  const metric = (name: string, ...data_points: object[]) => ({ name, unit: 's', [kind]: { data_points } })
  const body = encode('ExportMetricsServiceRequest', {
    resource_metrics: [
      {
        scope_metrics: [
          { metrics: [metric('m', point('a', 1), point('b', 2), point('a', 3)), metric('n', point(undefined, 4))] },
        ],
      },
      { scope_metrics: [{ metrics: [metric('m', point('a', 5))] }] },
    ],
  })
  const { items, groups } = await processOne(groupByAttrs, { keys: ['host'] }, 'metrics', body)
  const found = items.map(({ resource, item }) => [
    attributesOf(resource)['host'],
    item['name'],
    item['unit'],
    carriersOf('metrics', item).map(one => one['time_unix_nano']),
    carriersOf('metrics', item).map(attributesOf),
  ])
  expect(found).toEqual([
    ['a', 'm', 's', ['1', '3', '5'], [{ x: '1' }, { x: '1' }, { x: '1' }]],
    ['b', 'm', 's', ['2'], [{ x: '1' }]],
    [undefined, 'n', 's', ['4'], [{ x: '1' }]],
  ])
  expect(groups).toBe(3)
})

test('data that stands in pieces is one, and what other data replaces does not count', async () => {
  const metric = (plain: object) => encode('Metric', plain)
  const points = (...hosts: string[]) => ({
    data_points: hosts.map(host => ({ attributes: withAttributes({ host }), as_int: 1 })),
  })
  const pieces = [
    metric({ sum: points('x') }),
    metric({ gauge: points('a', 'b') }),
    metric({ name: 'm' }),
    metric({ gauge: points('a') }),
  ]
  const scope = encodeField(0x12, encodeField(0x12, Buffer.concat(pieces)))
  const { items } = await processOne(groupByAttrs, { keys: ['host'] }, 'metrics', encodeField(0x0a, scope))
  const found = items.map(({ resource, item }) => [
    attributesOf(resource),
    item['name'],
    Object.keys(item),
    carriersOf('metrics', item).map(attributesOf),
  ])
  expect(found).toEqual([
    [{ host: 'a' }, 'm', ['name', 'gauge'], [{}, {}]],
    [{ host: 'b' }, 'm', ['name', 'gauge'], [{}]],
  ])
})

test('each request of a batch is grouped for itself, and each sender hears of its own', async () => {
  const toy = await toyGraph({
    exporters: { sink: { sending_queue: { wait_for_result: true } } },
    components: {
      batch: { definition: batchProcessor, config: {} },
      groupbyattrs: { definition: groupByAttrs, config: { keys: ['host'] } },
    },
    pipelines: [{ processors: ['batch', 'groupbyattrs'], exporters: ['sink'] }],
  })
  const pushed = ['one', 'two'].map(name => toy.push(traces([{}, { [name]: { host: 'a' }, [`${name}'`]: {} }])))
  for (const { outcome } of pushed) expect((await outcome).kind).toBe('success')
  const [batch] = toy.sinks['sink'].batches
  expect(batch.shares.map(({ groups, items }) => [groups, items])).toEqual([
    [2, 2],
    [2, 2],
  ])
  expect(batch.items).toBe(4)
  await toy.graph.stop(100)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

const keyed = (list: unknown): { key: string; value?: unknown }[] =>
  ((list ?? []) as { value?: unknown }[]).map(one => ({ key: '', ...one }))

/** What an item stands for, wherever it stands: what must not change. */
function meaning(signal: Signal, keys: readonly string[], { resource, scope, item, ...above }: FlatItem): string[] {
  return carriersOf(signal, item).map(carrier => {
    const all = keyed(carrier['attributes'])
    const own = all.filter(({ key }) => !keys.includes(key))
    const moved = new Map(
      all
        .filter(({ key }) => keys.includes(key))
        .toReversed()
        .map(one => [one.key, one]),
    )
    const { attributes = [], ...rest } = (resource ?? {}) as Plain
    const list = keyed(attributes)
    const seen = new Set<string>()
    const replaced = list.map(one => {
      const by = moved.get(one.key)
      if (by === undefined || seen.has(one.key)) return one
      seen.add(one.key)
      return { ...one, value: by.value ?? {} }
    })
    const added = [...moved.values()]
      .filter(({ key }) => !seen.has(key))
      .map(({ key, value }) => ({ key, value: value ?? {} }))
    const merged = [...replaced, ...added].map(ordered).toSorted()
    const shell =
      signal === 'metrics'
        ? Object.keys(item)
            .filter(key => key !== 'attributes')
            .toSorted()
        : []
    return ordered({
      ...above,
      scope,
      rest,
      merged,
      shell,
      name: item['name'],
      carrier: { ...carrier, attributes: own },
    })
  })
}

test('random requests: every item means the same as before', async () => {
  const keys = ['a', 'service.name', 'long.'.repeat(30)]
  const samples = fc.sample(requests(), 300)
  for (const signal of allSignals) {
    const bodies = samples.filter(sample => sample.signal === signal).map(({ body }) => body)
    const results = await processAll(groupByAttrs, { keys }, signal, bodies)
    results.forEach(({ body, items }, i) => {
      if (items.length === 0) return
      const before = flatten(signal, bodies[i])
        .flatMap(one => meaning(signal, keys, one))
        .toSorted()
      const after = flatten(signal, body)
        .flatMap(one => meaning(signal, [], one))
        .toSorted()
      expect(after.length).toBe(before.length)
      after.forEach((one, at) =>
        expect(one === before[at], `${signal} ${one.slice(0, 900)}\n${before[at].slice(0, 900)}`).toBe(true),
      )
    })
  }
})

test('grouping twice is grouping once', async () => {
  const samples = fc.sample(requests(), 60).filter(({ signal }) => signal === 'logs')
  const once = await processAll(
    groupByAttrs,
    { keys: ['a'] },
    'logs',
    samples.map(({ body }) => body),
  )
  const full = once.filter(({ groups }) => groups > 0)
  const twice = await processAll(
    groupByAttrs,
    { keys: ['a'] },
    'logs',
    full.map(({ body }) => body),
  )
  // A value that stood in pieces may stand in one: it says the same.
  const said = (all: typeof full): unknown[] => all.map(({ items, groups }) => [items, groups])
  expect(said(twice)).toEqual(said(full))
})

test('merging and encoding of what came out are as of any batch', async () => {
  const body = traces([{}, { one: { host: 'a' }, two: { host: 'b' } }])
  const { body: out } = await processOne(groupByAttrs, { keys: ['host'] }, 'traces', body)
  const merged = mergeBatches([batchOf(out), batchOf(out)])
  expect(encodeGroups(merged.groups).equals(Buffer.concat([out, out]))).toBe(true)
})
