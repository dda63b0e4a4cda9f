import { afterEach, expect, test } from 'vitest'
import { count } from '../../../connectors/count/count.ts'
import { Budget, budgetKey } from '../../../core/budget.ts'
import type { ConnectorDefinition } from '../../../core/component.ts'
import { Host } from '../../../core/host.ts'
import { encodeGroups } from '../../../proto/group.ts'
import { allSignals, type Signal } from '../../../proto/signals.ts'
import { everything } from '../../support/everything.ts'
import { toyGraph } from '../../support/graph.ts'
import { attributesOf, encode, type Item, itemsOf, type Plain, pointsOf } from '../../support/otlp-proto.ts'

const stops: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

/** A graph in which `in` pipelines of all signals end in the connector and its counts in `sink`. */
async function counting(config: object = {}, sink: object = { sending_queue: { enabled: false } }) {
  const budget = new Budget(1 << 28)
  const toy = await toyGraph({
    exporters: { sink, rest: { sending_queue: { enabled: false } } },
    components: { count: { definition: count, config } },
    pipelines: [
      ...allSignals.map(signal => ({ id: `${signal}/in`, exporters: ['count', 'rest'] })),
      { id: 'metrics/out', receivers: ['count'], exporters: ['sink'] },
    ],
    host: new Host().provide(budgetKey, budget),
  })
  stops.push(() => toy.graph.stop(500))
  const items = (): Item[] => toy.sinks['sink'].batches.flatMap(batch => itemsOf('metrics', encodeGroups(batch.groups)))
  return { toy, budget, items }
}

/** Name, attributes and count of each data point. */
const countsOf = (items: readonly Item[]) =>
  items.flatMap(({ item }) =>
    pointsOf(item).map(point => [item['name'], attributesOf(point), Number(point['as_int'])] as const),
  )

const text = (key: string, value: string) => ({ key, value: { string_value: value } })
const spans = (...list: Plain[]) => [{ scope: { name: 's' }, spans: list }]
const request = (...groups: Plain[]) => encode('traces', { resource_spans: groups })

test.each<[Signal, [string, number][]]>([
  [
    'traces',
    [
      ['trace.span.count', 3],
      ['trace.span.event.count', 4],
      ['trace.span.count', 1],
      ['trace.span.event.count', 2],
    ],
  ],
  [
    'metrics',
    [
      ['metric.count', 6],
      ['metric.datapoint.count', 9],
      ['metric.count', 1],
      ['metric.datapoint.count', 2],
    ],
  ],
  [
    'logs',
    [
      ['log.record.count', 4],
      ['log.record.count', 1],
    ],
  ],
])('without configuration, %s are counted of each resource', async (signal, expected) => {
  const { toy, items } = await counting()
  expect((await toy.push(everything(signal), { signal }).outcome).kind).toBe('success')
  expect(countsOf(items()).map(([name, , n]) => [name, n])).toEqual(expected)
  const [{ resource, resourceSchema, scope, item }] = items()
  const [original] = itemsOf(signal, everything(signal))
  expect([resource, resourceSchema]).toEqual([original.resource, original.resourceSchema])
  expect(scope).toMatchObject({ name: 'kymo/connectors/count' })
  expect(item).toMatchObject({ sum: { aggregation_temporality: 1, is_monotonic: true } })
  expect(item['description']).toMatch(/^The number of .* observed\.$/)
  expect(toy.books.faults()).toEqual([])
})

test('what came in is consumed, what goes on is created, and all memory comes back', async () => {
  const { toy, budget } = await counting()
  const { outcome, delivery } = toy.push(everything('traces'))
  await outcome
  const node = toy.books.nodes.find(({ name }) => name.kind === 'connector' && name.pipeline === 'traces to metrics')
  expect(node).toMatchObject({ in: delivery.items, consumed: delivery.items, created: 4, out: 4 })
  await toy.graph.stop(500)
  expect([toy.books.faults(), toy.budget.used, budget.used]).toEqual([[], 0, 0])
})

test('a resource that stands several times in a batch is counted once', async () => {
  const { toy, items } = await counting({ spanevents: {} })
  const resource = { attributes: [text('service.name', 'a')] }
  await toy.push(
    request(
      { resource, scope_spans: spans({}, {}) },
      { resource: { attributes: [text('service.name', 'b')] }, scope_spans: spans({}) },
      { resource, scope_spans: spans({}) },
    ),
  ).outcome
  expect(items().map(({ resource, item }) => [attributesOf(resource), Number(pointsOf(item)[0]['as_int'])])).toEqual([
    [{ 'service.name': 'a' }, 3],
    [{ 'service.name': 'b' }, 1],
  ])
})

test('each combination of attributes is a data point; they may stand at the item, its scope or its resource', async () => {
  const { toy, items } = await counting({
    spans: {
      all: null,
      by: {
        description: 'By two.',
        attributes: [{ key: 'env' }, { key: 'tier', default_value: 'none' }],
      },
      code: { attributes: [{ key: 'code', default_value: 7 }] },
    },
    spanevents: {},
  })
  await toy.push(
    request({
      resource: { attributes: [text('env', 'from resource')] },
      scope_spans: [
        {
          scope: { attributes: [text('tier', 'from scope')] },
          spans: [
            { attributes: [text('env', 'prod')] },
            {},
            { attributes: [text('tier', 'gold'), text('env', 'prod')] },
          ],
        },
        {
          spans: [{ attributes: [text('env', 'prod')] }, { attributes: [{ key: 'code', value: { int_value: '7' } }] }],
        },
      ],
    }),
    {},
  ).outcome
  expect(countsOf(items())).toEqual([
    ['all', {}, 5],
    ['by', { env: 'prod', tier: 'from scope' }, 1],
    ['by', { env: 'from resource', tier: 'from scope' }, 1],
    ['by', { env: 'prod', tier: 'gold' }, 1],
    ['by', { env: 'prod', tier: 'none' }, 1],
    ['by', { env: 'from resource', tier: 'none' }, 1],
    ['code', { code: '7' }, 5],
  ])
})

test('what lacks an attribute that has no default is not counted; where that is all, nothing goes on', async () => {
  const { toy, items } = await counting({
    spans: { by: { attributes: [{ key: 'env' }, { key: 'tier', default_value: '' }] } },
    spanevents: {},
  })
  expect((await toy.push(request({ scope_spans: spans({ attributes: [text('env', 'a')] }) })).outcome).kind).toBe(
    'success',
  )
  expect(items()).toEqual([])
  expect(toy.books.faults()).toEqual([])
})

test('data points and events are counted by their own attributes', async () => {
  const { toy, items } = await counting({
    datapoints: { points: { attributes: [{ key: 'text' }] } },
    metrics: {},
    spans: {},
    spanevents: { events: { attributes: [{ key: 'int' }] } },
  })
  const resource = undefined
  await toy.push(
    encode('metrics', {
      resource_metrics: [
        {
          resource,
          scope_metrics: [
            {
              metrics: [
                { name: 'g', gauge: { data_points: [{ attributes: [text('text', 'a')] }, {}] } },
                { name: 's', summary: { data_points: [{ attributes: [text('text', 'a')] }] } },
                { name: 'h', histogram: { data_points: [{ attributes: [text('text', 'b')] }] } },
                { name: 'e', exponential_histogram: { data_points: [{ attributes: [text('text', 'a')] }] } },
              ],
            },
          ],
        },
      ],
    }),
    { signal: 'metrics' },
  ).outcome
  await toy.push(
    request({ scope_spans: spans({ events: [{ attributes: [{ key: 'int', value: { int_value: '-3' } }] }, {}] }) }),
  ).outcome
  expect(countsOf(items())).toEqual([
    ['points', { text: 'a' }, 3],
    ['points', { text: 'b' }, 1],
    ['events', { int: '-3' }, 1],
  ])
})

test('a count has the times of the first and the last item, to the nanosecond; without any, the present', async () => {
  const { toy, items } = await counting()
  await toy.push(
    request({
      scope_spans: spans(
        { start_time_unix_nano: '1700000000000000003', end_time_unix_nano: '1700000000000000009' },
        { start_time_unix_nano: '1700000000000000001', end_time_unix_nano: '4300000000000000000' },
        { start_time_unix_nano: '0', events: [{}] },
      ),
    }),
  ).outcome
  const [spanPoint, eventPoint] = items().map(({ item }) => pointsOf(item)[0])
  expect(spanPoint).toMatchObject({
    start_time_unix_nano: '1700000000000000001',
    time_unix_nano: '4300000000000000000',
  })
  expect(Number(eventPoint['time_unix_nano']) / 1e6).toBeGreaterThan(Date.now() - 60_000)
  expect(eventPoint).not.toHaveProperty('start_time_unix_nano')
})

test('an item that cannot be read is not counted, and refuses nothing', async () => {
  const { toy, items } = await counting({ spanevents: {} })
  const good = encode('Span', { name: 'good' })
  // A field that says it is longer than the span.
  const bad = Buffer.from([0x2a, 0x7f, 0x41])
  const field = (tag: number, content: Buffer) => Buffer.concat([Buffer.from([tag, content.length]), content])
  const scope = Buffer.concat([field(0x12, good), field(0x12, bad), field(0x12, good)])
  const { outcome } = toy.push(field(0x0a, field(0x12, scope)))
  // The toy exporter beside it decodes, and fails; the connector does not.
  toy.sinks['rest'].send = () => Promise.resolve(undefined)
  expect((await outcome).kind).toBe('success')
  expect(countsOf(items())).toEqual([['trace.span.count', {}, 2]])
})

test('a destination of counts that is full or broken never refuses, or holds up, what is counted', async () => {
  const { toy, budget } = await counting({}, { sending_queue: { queue_size: 1, num_consumers: 1 } })
  toy.sinks['sink'].behave = (_, abort) =>
    new Promise((_, reject) => abort.addEventListener('abort', () => reject(new Error('aborted'))))
  for (let i = 0; i < 50; i++)
    expect((await toy.push(everything('logs'), { signal: 'logs' }).outcome).kind).toBe('success')
  expect(toy.books.faults()).toEqual([])
  const sink = toy.books.nodes.find(({ name }) => name.id === 'sink')
  expect(sink?.lost.of('queue_full').value).toBeGreaterThan(80)
  // What waits is bounded.
  expect(budget.used).toBeLessThan(20_000)
  const { lost } = await toy.graph.stop(20)
  expect(lost).toBeGreaterThan(0)
  expect([toy.books.faults(), toy.budget.used, budget.used]).toEqual([[], 0, 0])
})

const complaints = (config: unknown) =>
  (count as ConnectorDefinition<unknown>).config.safeParse(config).error?.issues.map(({ message }) => message) ?? []

test.each([
  ['conditions', { spans: { x: { conditions: ['name == "a"'] } } }, /no OTTL yet.*remove `conditions`/],
  ['attributes of metrics', { metrics: { x: { attributes: [{ key: 'a' }] } } }, /count `datapoints`/],
  ['an attribute without a name', { logs: { x: { attributes: [{ key: '' }] } } }, /`key` must not be empty/],
  ['a metric without a name', { logs: { '': {} } }, /Invalid key|must not be empty/],
  ['an unknown key', { logs: { x: { atributes: [] } } }, /Unrecognized key/],
])('%s are refused', (_, config, message) => {
  expect(complaints(config).join()).toMatch(message)
})

test('empty conditions, null sections and numbers are fine', () => {
  expect(complaints({ spans: null, logs: { x: { conditions: [], attributes: null } } })).toEqual([])
})
