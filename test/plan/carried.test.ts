/** Which `batch` is done behind the queues of destinations, and how they gather then; at a start, and over reloads. */
import { describe, expect, test } from 'vitest'
import { components } from '../support/components.ts'
import { DeliveryError } from '../../core/errors.ts'
import { explain } from '../../plan/explain.ts'
import { loadPlan } from '../../plan/load.ts'
import { batch } from '../../processors/batch.ts'
import { type ToyGraph, toyGraph, type ToyParts } from '../support/graph.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'
import { diskOf, MemoryStorage } from '../support/storage.ts'
import { until } from '../support/until.ts'

/** The plan of pipelines between one receiver, some steps, and exporters with and without a disk. */
const planOf = (pipelines: string) =>
  loadPlan({
    sources: [
      `yaml:
receivers: {otlp: {protocols: {grpc: {}}}}
processors: {batch: {}, batch/2: {timeout: 1s}, batch/same: {}, namespace_filter: {}}
exporters:
  otlp_grpc/disk: {endpoint: "a:1", sending_queue: {storage: file_storage}}
  otlp_grpc/own: {endpoint: "a:1", sending_queue: {storage: file_storage, batch: {min_size: 5, partition: {metadata_keys: [a]}}}}
  otlp_grpc/memory: {endpoint: "b:1"}
  debug: {}
connectors: {forward: {}, count: {}}
extensions: {file_storage: {directory: /tmp}}
service: {extensions: [file_storage], pipelines: {${pipelines}}}`,
    ],
    components,
    env: {},
  }).plan
const to = (id: string, processors: string, exporters: string) =>
  `${id}: {receivers: [otlp], processors: [${processors}], exporters: [${exporters}]}`

test.each([
  ['it stands last before a queue on disk', [to('traces', 'namespace_filter, batch', 'otlp_grpc/disk')], ['batch']],
  [
    'beside destinations of other kinds',
    [
      to('traces', 'batch', 'otlp_grpc/disk, otlp_grpc/memory, debug, count'),
      'metrics: {receivers: [count], exporters: [debug]}',
    ],
    ['batch', undefined],
  ],
  ['there is no disk: not', [to('traces', 'batch', 'otlp_grpc/memory')], [undefined]],
  ['there is a step behind it: not', [to('traces', 'batch, namespace_filter', 'otlp_grpc/disk')], [undefined]],
  [
    'it is handed on to other pipelines, too: not',
    [to('traces', 'batch', 'otlp_grpc/disk, forward'), 'traces/2: {receivers: [forward], exporters: [debug]}'],
    [undefined, undefined],
  ],
  [
    'pipelines that share a destination say the same',
    [to('traces', 'batch', 'otlp_grpc/disk'), to('traces/2', 'batch/same', 'otlp_grpc/disk')],
    ['batch', 'batch/same'],
  ],
  [
    'they do not: none is',
    [to('traces', 'batch', 'otlp_grpc/disk'), to('traces/2', 'batch/2', 'otlp_grpc/disk')],
    [undefined, undefined],
  ],
  [
    'one that agrees here does not there: none is, in either order',
    [
      to('traces', 'batch', 'otlp_grpc/disk'),
      to('traces/2', 'batch', 'otlp_grpc/disk, otlp_grpc/own'),
      to('traces/3', 'batch/2', 'otlp_grpc/own'),
    ],
    [undefined, undefined, undefined],
  ],
  [
    'one that shares a destination without a disk has none',
    [to('traces', 'batch', 'otlp_grpc/disk, otlp_grpc/memory'), to('traces/2', '', 'otlp_grpc/memory')],
    [undefined, undefined],
  ],
  [
    'one that shares it is of another signal',
    [to('traces', 'batch', 'otlp_grpc/disk'), to('logs', 'batch/2', 'otlp_grpc/disk')],
    ['batch', 'batch/2'],
  ],
])('carried: %s', (_, pipelines, carried) => {
  expect(explain(planOf(pipelines.join(', '))).pipelines.map(one => one.carried)).toEqual(carried)
})

test('a queue that gathers itself has the last word on size and time, and keeps apart what either keeps apart', () => {
  const plan = planOf(to('traces', 'batch', 'otlp_grpc/own, debug'))
  expect(plan.gatheredBy('otlp_grpc/own', 'traces')).toMatchObject({
    inPlaceOf: 'batch',
    settings: { least: 5, timeout: 200, keys: ['a'] },
  })
  expect(plan.gatheredBy('debug', 'traces')).toMatchObject({ inPlaceOf: 'batch', settings: { least: 8192 } })
  expect(plan.gatheredBy('otlp_grpc/own', 'logs')).toMatchObject({ inPlaceOf: undefined, settings: { least: 5 } })
})

test('who answers is told: each destination for itself', () => {
  const { receivers, exporters } = explain(planOf(to('traces', 'batch', 'otlp_grpc/disk, otlp_grpc/memory, debug')))
  expect(receivers[0].answers.map(({ by, success }) => `${by}: ${success}`)).toEqual([
    'otlp_grpc/disk: durable',
    'otlp_grpc/memory: accepted',
    'debug: accepted',
  ])
  expect(exporters.map(one => one.in_place_of)).toEqual(['batch', 'batch', 'batch'])
})

describe('while it runs', () => {
  const partsFor = (
    storage: MemoryStorage,
    more: { batch?: object; queue?: object; processors?: string[] },
  ): ToyParts => ({
    exporters: { sink: { sending_queue: { storage: 'disk', ...more.queue } } },
    components: {
      disk: { definition: diskOf(storage) },
      batch: { definition: batch, config: { timeout: '60s', ...more.batch } },
    },
    pipelines: [{ processors: more.processors ?? ['batch'], exporters: ['sink'] }],
  })
  const push = (toy: ToyGraph, ...spans: string[]) => toy.push(tracesRequest([{ spans }])).outcome

  test('what a destination does not take keeps its own record, and no other', async () => {
    const storage = new MemoryStorage()
    const toy = await toyGraph(partsFor(storage, { batch: { send_batch_size: 6 } }))
    const { sink } = toy.sinks
    sink.behave = one => {
      const bad = sink.attempts.at(-1)?.some(name => name.startsWith('bad')) === true
      if (!bad) return Promise.resolve(undefined)
      if (one.shares.length === 1) return new Promise(() => {})
      return Promise.reject(new DeliveryError('DELIVERY_REJECTED', 'rejected', 'no'))
    }
    for (const name of ['a', 'bad', 'c']) expect((await push(toy, name, `${name}'`)).kind).toBe('success')
    await until(() => expect(sink.all.toSorted()).toEqual(['a', "a'", 'c', "c'"]))
    expect(storage.records.filter(({ left }) => left.size > 0)).toHaveLength(1)
    await toy.graph.stop(10)
    expect([toy.books.faults(), toy.budget.used]).toEqual([[], 0])
  })

  test.each([
    ['on disk', { queue_size: 2, when_full: 'refuse' }, {}],
    ['in memory', {}, { queue_size: 2 }],
  ])('room in requests counts what was gathered: %s', async (_, queue, beside) => {
    const storage = new MemoryStorage()
    const parts = partsFor(storage, { batch: { send_batch_size: 4 }, queue })
    const toy = await toyGraph({
      ...parts,
      exporters: { ...parts.exporters, beside: { sending_queue: beside } },
      pipelines: [{ processors: ['batch'], exporters: ['sink', 'beside'] }],
    })
    for (const sink of Object.values(toy.sinks)) sink.behave = () => new Promise(() => {})
    const heard: string[] = []
    for (let i = 0; i < 9; i++) heard.push((await push(toy, `s${i}`)).kind)
    expect(heard).toEqual([...Array<string>(8).fill('success'), 'refused'])
    await toy.graph.stop(10)
    expect([toy.books.faults(), toy.budget.used]).toEqual([[], 0])
  })

  test('a reload that changes the batch, takes it away or brings it back loses nothing and holds nothing up', async () => {
    const storage = new MemoryStorage()
    const toy = await toyGraph(partsFor(storage, {}))
    const { sink } = toy.sinks
    const taken = (): string[] => [...sink.all, ...(toy.sinks['sink'] === sink ? [] : toy.sinks['sink'].all)].toSorted()
    await push(toy, 'a')
    expect(taken()).toEqual([])
    for (const [i, more] of [
      { batch: { send_batch_size: 100 } },
      { processors: [] },
      {},
      { batch: { send_batch_size: 1 } },
    ].entries()) {
      const { over } = await toy.reload(partsFor(storage, more))
      await over
      await until(() => expect(taken().length).toBeGreaterThan(i))
      await push(toy, `b${i}`)
    }
    await until(() => expect(taken()).toEqual(['a', 'b0', 'b1', 'b2', 'b3']))
    await toy.graph.stop(100)
    expect([toy.books.faults(), toy.budget.used]).toEqual([[], 0])
  })
})
