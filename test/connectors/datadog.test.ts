import { afterEach, beforeEach, expect, test } from 'vitest'
import { datadogConnector } from '../../connectors/datadog.ts'
import { Budget, budgetKey } from '../../core/budget.ts'
import { clockKey } from '../../core/clock.ts'
import { DeliveryError } from '../../core/errors.ts'
import { Host } from '../../core/host.ts'
import { statsMetric } from '../../backends/datadog/stats.ts'
import { encodeGroups } from '../../proto/group.ts'
import { MovableClock } from '../support/clock.ts'
import { id, kinds, request, span } from '../support/datadog-spans.ts'
import { type Found, foundIn } from '../support/datadog-stats.ts'
import { toyGraph } from '../support/graph.ts'
import { attributesOf, itemsOf, type Plain, pointsOf } from '../support/otlp-proto.ts'

const stops: (() => Promise<unknown>)[] = []
let clock: MovableClock
beforeEach(() => {
  clock = new MovableClock()
})
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

/** Traces end in the connector; its stats in `stats`, the traces it hands on in `rest`. */
async function connected(traces: object = {}, stats: object = {}) {
  const budget = new Budget(1 << 28)
  const toy = await toyGraph({
    exporters: { stats: { sending_queue: { enabled: false }, ...stats }, rest: { sending_queue: { enabled: false } } },
    components: { datadog: { definition: datadogConnector, config: { traces } } },
    pipelines: [
      { id: 'traces/in', exporters: ['datadog'] },
      { id: 'traces/out', receivers: ['datadog'], exporters: ['rest'] },
      { id: 'metrics/out', receivers: ['datadog'], exporters: ['stats'] },
    ],
    host: new Host().provide(budgetKey, budget).provide(clockKey, clock),
  })
  stops.push(() => toy.graph.stop(500))
  const found = (): Found[] =>
    toy.sinks['stats'].batches.flatMap(batch =>
      itemsOf('metrics', encodeGroups(batch.groups)).flatMap(({ item }) => {
        expect(item['name']).toBe(statsMetric)
        return foundIn(
          pointsOf(item).map(point => Buffer.from(String(attributesOf(point)[statsMetric]).slice(2), 'hex')),
        )
      }),
    )
  return { toy, budget, found }
}

const now = (more: Plain = {}): Plain =>
  span({}, { start_time_unix_nano: `${clock.wall() - 20}000000`, end_time_unix_nano: `${clock.wall()}000000`, ...more })

test('traces go on as they are; stats follow when their bucket is over', async () => {
  const { toy, budget, found } = await connected()
  const body = request([now(), now({ span_id: id(3, 8), parent_span_id: id(2, 8), kind: kinds.client })])
  expect((await toy.push(body, { signal: 'traces' }).outcome).kind).toBe('success')
  expect(encodeGroups(toy.sinks['rest'].batches[0].groups).equals(body)).toBe(true)
  await clock.advance(10_000)
  expect(found()).toEqual([])
  await clock.advance(10_000)
  expect(found()).toHaveLength(2)
  expect(found().map(one => [one.hits, one.topLevelHits, one.hostname])).toEqual([
    ['1', '1', '__unset__'],
    ['1', '0', '__unset__'],
  ])
  expect(budget.used).toBe(0)
  expect(toy.books.faults()).toEqual([])
})

test('a stop hands on what is counted, and the books balance', async () => {
  const { toy, found } = await connected()
  for (let i = 0; i < 3; i++) await toy.push(request([now()]), { signal: 'traces' }).outcome
  await toy.graph.stop(1000)
  expect(found().map(one => one.hits)).toEqual(['3'])
  expect(toy.books.faults()).toEqual([])
  const [node] = toy.books.nodes.filter(({ name }) => name.kind === 'connector' && name.signal === 'metrics')
  expect([node.in, node.consumed, node.created, node.out]).toEqual([3, 3, 1, 1])
})

test('a destination of stats that is away does not keep traces from where they go', async () => {
  const { toy } = await connected()
  toy.sinks['stats'].behave = () => Promise.reject(new DeliveryError('DELIVERY_UNREACHABLE', 'retry', 'away'))
  for (let i = 0; i < 5; i++) {
    expect((await toy.push(request([now()]), { signal: 'traces' }).outcome).kind).toBe('success')
    await clock.advance(30_000)
  }
  expect(toy.sinks['rest'].all).toHaveLength(5)
})

test('spans that cannot be read are handed on all the same', async () => {
  const { toy, found } = await connected()
  const group = Buffer.from([0x0a, 6, 0x12, 4, 0x12, 2, 0x0a, 9])
  expect((await toy.push(Buffer.concat([group, request([now()])]), { signal: 'traces' }).outcome).kind).toBe('success')
  await toy.graph.stop(1000)
  expect(found()).toHaveLength(1)
  expect(toy.sinks['rest'].batches[0].items).toBe(2)
})

test('the length of a bucket can be set', async () => {
  const { toy, found } = await connected({ bucket_interval: '30s' })
  await toy.push(request([now()]), { signal: 'traces' }).outcome
  await clock.advance(30_000)
  expect(found()).toEqual([])
  await clock.advance(60_000)
  expect(found().map(one => one.duration)).toEqual(['30000000000'])
})

test.each([
  [
    { ignore_resources: ['('] },
    'traces.ignore_resources.0: no regular expression: missing closing ): `(` at character 1',
  ],
  [{ bucket_interval: '10ms' }, 'traces.bucket_interval: must be at least 1000ms'],
  [{ max_groups: 1 }, 'traces.max_groups: must be at least 100'],
])('%o is refused', (traces, complaint) => {
  const result = datadogConnector.config.safeParse({ traces })
  expect(result.success ? [] : result.error.issues.map(one => `${one.path.join('.')}: ${one.message}`)).toEqual([
    complaint,
  ])
})
