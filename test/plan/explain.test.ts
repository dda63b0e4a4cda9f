/** What is told of a configuration, by the real components where they show it, by toys where they do not; and held against what the graph then does. */
import { map } from 'rxjs'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { components } from '../support/components.ts'
import { defineConnector, defineProcessor } from '../../core/component.ts'
import { explain, type Explanation } from '../../plan/explain.ts'
import { loadPlan } from '../../plan/load.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'
import { toyGraph, type ToyPipeline } from '../support/graph.ts'

const all = ['traces', 'metrics', 'logs'] as const
const declared = {
  stability: 'alpha',
  summary: 'A toy.',
  examples: [],
  signals: all,
  config: z.strictObject({}),
} as const

/** Keeps data longer than a sender waits. */
const keeper = defineProcessor({
  ...declared,
  type: 'keeper',
  hold: 'state',
  touches: () => [],
  create: () => map(one => one),
})
/** Says nothing of itself. */
const silent = defineProcessor({ ...declared, type: 'silent', hold: 'none', create: () => map(one => one) })
const forward = defineConnector({
  ...declared,
  type: 'forward',
  hold: 'none',
  joins: all.map(signal => [signal, signal] as const),
  touches: () => [],
  create: () => map(one => one),
})
const count = defineConnector({
  ...declared,
  type: 'count',
  derives: true,
  hold: 'none',
  joins: [['traces', 'metrics']],
  touches: () => [{ depth: 'item', does: 'reads', key: 'spans', what: 'what it counts' }],
  create: () => map(one => one),
})
const build = [
  ...components.filter(({ type }) => type !== 'forward' && type !== 'count'),
  keeper,
  silent,
  forward,
  count,
]

interface Parts {
  readonly processors?: string
  readonly exporters?: string
  readonly connectors?: string
  readonly extensions?: string
  readonly started?: string
  readonly receiver?: string
  readonly pipelines: string
}

/** Explains a configuration with a receiver `otlp` and exporters `a` and `b` to servers that are not there. */
function explained(parts: Parts): Explanation {
  const yaml = `
receivers: {otlp: {protocols: ${parts.receiver ?? '{grpc: {}}'}}}
processors: {${parts.processors ?? ''}}
exporters: {${parts.exporters ?? 'otlp_grpc/a: {endpoint: "a:1"}, otlp_grpc/b: {endpoint: "b:1"}'}}
connectors: {${parts.connectors ?? ''}}
extensions: {${parts.extensions ?? ''}}
service: {extensions: [${parts.started ?? ''}], pipelines: {${parts.pipelines}}}`
  return explain(loadPlan({ sources: [`yaml:${yaml}`], components: build, env: {} }).plan)
}

const to = (exporters: string, processors = '') =>
  `traces: {receivers: [otlp], processors: [${processors}], exporters: [${exporters}]}`
const exporterWith = (keys: string) =>
  explained({ exporters: `otlp_grpc: {endpoint: "a:1", ${keys}}`, pipelines: to('otlp_grpc') }).exporters[0]

test.each([
  ['a queue in memory: taken when it is in it', '', 'accepted', 'sending_queue.enabled: true', 'lost'],
  [
    'no queue: taken when the destination says so',
    'sending_queue: {enabled: false}',
    'delivered',
    'sending_queue.enabled: false',
    'refused',
  ],
  [
    'a queue that waits for the answer: likewise',
    'sending_queue: {wait_for_result: true}',
    'delivered',
    'sending_queue.wait_for_result: true',
    'refused',
  ],
])('%s', (_, keys, success, because, atShutdown) => {
  const exporter = exporterWith(keys)
  expect(exporter).toMatchObject({ success, at_shutdown: atShutdown })
  expect(exporter.because[0]).toBe(because)
})

test.each([
  ['refused unless told otherwise', '', 'refuse', 'sending_queue.when_full is not set'],
  ['refused as told', 'sending_queue: {when_full: refuse}', 'refuse', 'sending_queue.when_full: refuse'],
  ['dropped as told', 'sending_queue: {when_full: drop}', 'drop', 'sending_queue.when_full: drop'],
  ['waited for', 'sending_queue: {block_on_overflow: true}', 'wait', 'sending_queue.block_on_overflow: true'],
  ['no queue, never full', 'sending_queue: {enabled: false}', undefined, undefined],
])('a full queue: %s', (_, keys, whenFull, because) => {
  expect(exporterWith(keys)).toMatchObject({ when_full: whenFull, when_full_because: because })
})

test.each([
  ['no end of retries', '', null, ['suspect', 'shutdown']],
  ['an end of retries', 'retry_on_failure: {max_elapsed_time: 5m}', 300, ['suspect', 'expired', 'denied', 'shutdown']],
])('%s: reasons of loss', (_, keys, seconds, lost) => {
  const { retry, reasons } = exporterWith(keys)
  expect(retry?.give_up_after_seconds).toBe(seconds)
  expect(reasons.lost).toEqual(lost)
})

test('without retries, what fails once is lost, or its sender hears it', () => {
  expect(exporterWith('retry_on_failure: {enabled: false}').reasons.lost).toEqual(['not_retried', 'denied', 'shutdown'])
  expect(exporterWith('retry_on_failure: {enabled: false}, sending_queue: {enabled: false}').reasons.lost).toEqual([])
})

test('a destination stops those beside it, and makes those elsewhere get data twice', () => {
  const { exporters } = explained({
    exporters:
      'otlp_grpc/a: {endpoint: "a:1"}, otlp_grpc/b: {endpoint: "b:1", sending_queue: {when_full: drop}}, nop: {}',
    pipelines: `${to('otlp_grpc/a, otlp_grpc/b')}, traces/2: {receivers: [otlp], exporters: [nop]}`,
  })
  const [a, b, nop] = exporters
  expect(a.stops).toEqual([{ pipeline: 'traces', stopped: ['otlp_grpc/b'], twice: ['nop'], receivers: ['otlp'] }])
  expect(b.stops).toEqual([])
  // It has no queue: the others have their part when it fails.
  expect(nop.stops).toEqual([
    { pipeline: 'traces/2', stopped: [], twice: ['otlp_grpc/a', 'otlp_grpc/b'], receivers: ['otlp'] },
  ])
})

test('another signal of the same sender is not sent twice', () => {
  const { exporters } = explained({
    pipelines: `${to('otlp_grpc/a')}, logs: {receivers: [otlp], exporters: [otlp_grpc/b]}`,
  })
  expect(exporters[0].stops).toEqual([{ pipeline: 'traces', stopped: [], twice: [], receivers: ['otlp'] }])
})

test.each([
  ['nothing is read', { processors: 'batch: {}', pipelines: to('nop', 'batch'), exporters: 'nop: {}' }, 'nothing', []],
  [
    'a filter by namespace reads the resource in any case',
    { processors: 'namespace_filter: {system: true}', pipelines: to('nop', 'namespace_filter'), exporters: 'nop: {}' },
    'resource',
    [{ id: 'namespace_filter', key: '' }],
  ],
  [
    'an exporter that shows items reads them',
    { pipelines: to('debug'), exporters: 'debug: {verbosity: detailed}' },
    'item',
    [{ id: 'debug', key: 'verbosity' }],
  ],
  [
    'one that does not say is not known',
    { processors: 'silent: {}', pipelines: to('nop', 'silent'), exporters: 'nop: {}' },
    'unknown',
    [{ id: 'silent', key: '' }],
  ],
])('how deep: %s', (_, parts, reach, by) => {
  expect(explained(parts).pipelines[0].deepest).toEqual({ reach, by })
})

test('what is edited, read and untouched is told per depth', () => {
  const edited = explained({
    processors: 'resource: {attributes: [{key: a, value: 1, action: insert}]}, namespace_filter: {}',
    pipelines: to('otlp_grpc/a', 'resource, namespace_filter'),
  })
  expect(edited.pipelines[0].bytes).toEqual({ resource: 'edited', scope: 'untouched', item: 'untouched' })
  const read = explained({ processors: 'namespace_filter: {}', pipelines: to('otlp_grpc/a', 'namespace_filter') })
  expect(read.pipelines[0].bytes.resource).toBe('read')
  const unknown = explained({ processors: 'silent: {}', pipelines: to('otlp_grpc/a', 'silent') })
  expect(unknown.pipelines[0].bytes.item).toBe('unknown')
})

test('what may be dropped has its reason and the key that makes it', () => {
  const { pipelines } = explained({
    processors: 'namespace_filter: {exclude: [playground], system: true}',
    pipelines: to('otlp_grpc/a', 'namespace_filter'),
  })
  expect(pipelines[0].drops).toEqual([
    { by: 'namespace_filter', reason: 'namespace_excluded', key: 'exclude', what: 'playground' },
  ])
})

const tenant = 'resource: {attributes: [{key: t, from_context: metadata.X-Tenant, action: upsert}]}'
const kept = '{grpc: {include_metadata: true}}'

test.each([
  ['it is there', { receiver: kept, processors: tenant, pipelines: to('nop', 'resource') }, []],
  [
    'the receiver does not keep headers',
    { processors: tenant, pipelines: to('nop', 'resource') },
    [{ at: 'otlp', key: 'protocols.grpc.include_metadata' }],
  ],
  [
    'a step before it keeps tenants apart by itself',
    { receiver: kept, processors: `${tenant}, batch: {}`, pipelines: to('nop', 'batch, resource') },
    [],
  ],
  [
    'a step before it keeps tenants apart',
    {
      receiver: kept,
      processors: `${tenant}, batch: {metadata_keys: [X-TENANT]}`,
      pipelines: to('nop', 'batch, resource'),
    },
    [],
  ],
  [
    'a step behind it puts all together',
    { receiver: kept, processors: `${tenant}, batch: {}`, pipelines: to('nop', 'resource, batch') },
    [],
  ],
  [
    'a step before a connector keeps tenants apart by itself',
    {
      receiver: kept,
      processors: `${tenant}, batch: {}`,
      connectors: 'forward: {}',
      pipelines: `${to('forward', 'batch')}, traces/2: {receivers: [forward], processors: [resource], exporters: [nop]}`,
    },
    [],
  ],
])('a header that a component needs: %s', (_, parts, lost) => {
  const { pipelines } = explained({ exporters: 'nop: {}', ...parts })
  const needs = pipelines.flatMap(one => one.needs).filter(({ by }) => by === 'resource')
  expect(needs).toEqual([{ by: 'resource', key: 'attributes[0].from_context', what: 'metadata.x-tenant', lost }])
})

test('an identity is lost at the protocol that asks for none', () => {
  const { pipelines } = explained({
    receiver: '{grpc: {auth: {authenticator: basicauth}}, http: {}}',
    extensions: 'basicauth: {htpasswd: {inline: "a:b"}}',
    started: 'basicauth',
    processors: 'resource: {attributes: [{key: who, action: insert, from_context: auth.subject}]}',
    exporters: 'nop: {}',
    pipelines: to('nop', 'resource'),
  })
  expect(pipelines[0].needs.map(({ what, lost }) => [what, lost])).toEqual([
    ['auth.subject', [{ at: 'otlp', key: 'protocols.http.auth' }]],
  ])
})

test('the extension that an exporter names needs what it needs, behind the queue that gathers', () => {
  const { pipelines } = explained({
    receiver: kept,
    extensions: 'headers_setter: {headers: [{key: X-Tenant, from_context: X-Tenant}]}',
    started: 'headers_setter',
    exporters: 'otlp_grpc: {endpoint: "a:1", auth: {authenticator: headers_setter}, sending_queue: {batch: {}}}',
    pipelines: to('otlp_grpc'),
  })
  expect(pipelines[0].needs).toEqual([
    {
      by: 'otlp_grpc',
      key: 'auth.authenticator: headers_setter',
      what: 'metadata.x-tenant',
      lost: [],
    },
  ])
})

test.each([
  ['all behind it accept what they queue', '', 'batch', 'gathers'],
  ['the destination has to answer', 'sending_queue: {enabled: false}', 'a', 'delivered'],
  ['the queue waits for the answer', 'sending_queue: {wait_for_result: true}', 'a', 'delivered'],
])('senders of a pipeline that ends in a batch step are answered: %s', (_, keys, by, success) => {
  const { receivers, pipelines } = explained({
    processors: 'batch: {}',
    exporters: `otlp_grpc/a: {endpoint: "a:1", ${keys}}`,
    pipelines: to('otlp_grpc/a', 'batch'),
  })
  expect(receivers[0].answers).toMatchObject([{ by: by === 'a' ? 'otlp_grpc/a' : by, success }])
  expect(pipelines[0].custody?.id).toBe(by === 'a' ? undefined : by)
})

test('a step that keeps data for another reason than to gather it does not answer', () => {
  const { receivers } = explained({
    processors: 'resource_detection: {}',
    pipelines: to('otlp_grpc/a', 'resource_detection'),
  })
  expect(receivers[0].answers).toMatchObject([{ by: 'otlp_grpc/a', success: 'accepted' }])
})

test('a batch step before connectors waits for what one that hands on leads to', () => {
  const { receivers } = explained({
    processors: 'batch: {}',
    exporters: 'otlp_grpc/a: {endpoint: "a:1", sending_queue: {enabled: false}}, debug: {}',
    connectors: 'forward: {}',
    pipelines: `${to('forward, debug', 'batch')}, traces/2: {receivers: [forward], exporters: [otlp_grpc/a]}`,
  })
  const answers = receivers[0].answers.map(({ by, success }) => `${by}: ${success}`)
  expect(answers).toEqual(['otlp_grpc/a: delivered', 'debug: delivered'])
})

test('a step that keeps data answers for what is behind it', () => {
  const { receivers } = explained({
    processors: 'keeper: {}',
    pipelines: `${to('otlp_grpc/a', 'keeper')}, traces/2: {receivers: [otlp], exporters: [otlp_grpc/b]}`,
  })
  expect(receivers[0].answers.map(({ by, success }) => [by, success])).toEqual([
    ['keeper', 'state'],
    ['otlp_grpc/b', 'accepted'],
  ])
})

test('answers come from behind a connector that hands on, not from behind one that makes other data', () => {
  const { receivers, exporters } = explained({
    connectors: 'forward: {}, count: {}',
    pipelines: `${to('forward, count')}, traces/2: {receivers: [forward], exporters: [otlp_grpc/a]}, metrics: {receivers: [count], exporters: [otlp_grpc/b]}`,
  })
  expect(receivers[0].answers).toMatchObject([
    { by: 'otlp_grpc/a', kind: 'exporter', success: 'accepted', pipelines: ['traces', 'traces/2'] },
    { by: 'count', kind: 'connector', success: 'derived' },
  ])
  const [, b] = exporters
  expect(b.stops).toEqual([{ pipeline: 'metrics', stopped: [], twice: [], receivers: [] }])
  // Nobody can be asked to make the counts again.
  expect(b.reasons.lost).toContain('queue_full')
  const behind = explained({
    processors: 'memory_limiter: {limit_mib: 100}',
    connectors: 'count: {}',
    pipelines: `${to('count')}, metrics: {receivers: [count], processors: [memory_limiter], exporters: [otlp_grpc/b]}`,
  })
  expect(behind.exporters[0].reasons.lost).toContain('pipeline_closed')
})

test.each([
  ['in order', 'series', ['traces']],
  ['all at once', 'none', []],
] as const)('it says whether batches leave one after the other: %s', async (_, ordering, inOrder) => {
  const toy = await toyGraph({ exporters: { sink: {} }, ordering })
  const [sink] = explain(toy.plan).exporters
  expect(sink.queue?.in_order).toEqual(inOrder)
  await toy.graph.stop(50)
})

const never = () => new Promise<undefined>(() => {})
const body = tracesRequest([{ spans: ['a'] }])

test.each([
  ['refuse', { when_full: 'refuse' }],
  ['drop', { when_full: 'drop' }],
  ['wait', { block_on_overflow: true }],
])('a destination that hangs does to others what is told: %s', async (whenFull, keys) => {
  const pipelines: ToyPipeline[] = [{ exporters: ['hung', 'well'] }]
  const toy = await toyGraph({
    exporters: { hung: { sending_queue: { queue_size: 1, num_consumers: 1, ...keys } }, well: {} },
    pipelines,
  })
  const [hung] = explain(toy.plan).exporters
  expect(hung).toMatchObject({ success: 'accepted', when_full: whenFull })
  toy.sinks['hung'].behave = never
  expect((await toy.push(body).outcome).kind).toBe('success')
  const second = toy.push(body)
  const outcome = await Promise.race([second.outcome, new Promise(resolve => setTimeout(resolve, 30, 'none'))])
  const heard = {
    refuse: expect.objectContaining({ kind: 'refused' }) as unknown,
    drop: expect.objectContaining({ kind: 'success' }) as unknown,
    wait: 'none',
  }
  expect(outcome).toEqual(heard[whenFull as 'refuse'])
  const stopped = hung.stops.some(stop => stop.stopped.includes('well'))
  expect(toy.sinks['well'].taken).toHaveLength(stopped ? 1 : 2)
  await toy.graph.stop(0)
  const lost = toy.books.nodes.flatMap(node => [...node.lost.all()].filter(({ value }) => value > 0))
  for (const { reason } of lost) expect(hung.reasons.lost).toContain(reason)
})

test.each([
  ['gathers', {}],
  ['delivered', { enabled: false }],
])('with a batch step in front, a sender hears success when it is told: %s (%j)', async (success, keys) => {
  const batch = components.find(({ kind, type }) => kind === 'processor' && type === 'batch')
  if (batch === undefined) throw new Error('no batch processor in this build')
  const toy = await toyGraph({
    // Full at once: an answer cannot come from its queue.
    exporters: { hung: { sending_queue: { queue_size: 1, num_consumers: 1, ...keys } } },
    components: { batch: { definition: batch } },
    pipelines: [{ processors: ['batch'], exporters: ['hung'] }],
  })
  expect(explain(toy.plan).receivers[0].answers[0].success).toBe(success)
  toy.sinks['hung'].behave = never
  const heard: boolean[] = []
  for (let i = 0; i < 2; i++) {
    const first = await Promise.race([toy.push(body).outcome, new Promise(resolve => setTimeout(resolve, 30, 'none'))])
    heard.push(first !== 'none')
  }
  expect(heard).toEqual(success === 'gathers' ? [true, true] : [false, false])
  await toy.graph.stop(0)
})

test.each([
  ['accepted', {}],
  ['delivered', { enabled: false }],
  ['delivered', { wait_for_result: true }],
])('a sender hears success when it is told: %s (%j)', async (success, keys) => {
  const toy = await toyGraph({ exporters: { hung: { sending_queue: keys } } })
  const explanation = explain(toy.plan)
  expect(explanation.receivers[0].answers[0]).toMatchObject({ by: 'hung', success })
  toy.sinks['hung'].behave = never
  const { outcome } = toy.push(body)
  const first = await Promise.race([outcome, new Promise(resolve => setTimeout(resolve, 30, 'none'))])
  expect(first === 'none').toBe(success === 'delivered')
  await toy.graph.stop(0)
  expect((await outcome).kind).toBe(success === 'delivered' ? 'refused' : 'success')
})
