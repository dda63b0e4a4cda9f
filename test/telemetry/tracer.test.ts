import { afterEach, expect, test } from 'vitest'
import { DeliveryError } from '../../core/errors.ts'
import { namespaceFilter } from '../../processors/namespace_filter.ts'
import { SelfReport } from '../../telemetry/self-report.ts'
import { BatchTracer } from '../../telemetry/tracer.ts'
import { toyGraph, type ToyGraph } from '../support/graph.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'
import { decode } from '../support/otlp.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(50)
  expect(toy.books.faults()).toEqual([])
})

interface Span {
  readonly name: string
  readonly trace_id: string
  readonly span_id: string
  readonly parent_span_id?: string
  readonly start_time_unix_nano: string
  readonly end_time_unix_nano: string
  readonly status?: { message: string; code: number }
  readonly attributes: { key: string; value: Record<string, unknown> }[]
}

async function traced(ratio: number, perSecond = 1000) {
  toy = await toyGraph({
    exporters: { sink: { retry_on_failure: { initial_interval: '1ms', max_interval: '1ms' } } },
    components: { namespace_filter: { definition: namespaceFilter } },
    pipelines: [{ processors: ['namespace_filter'], exporters: ['sink'] }],
  })
  const report = new SelfReport({}, '1.2.3')
  const spans: Span[] = []
  const end = report.onSpan(item => spans.push(decode('Span', item) as unknown as Span))
  toy.journal.tracer = new BatchTracer(report, { ratio, perSecond })
  return { spans, end }
}

const body = tracesRequest([
  { namespace: 'kube-system', spans: names('a', 3) },
  { namespace: 'shop', spans: names('b', 5) },
])
const namesOf = (spans: Span[]) => spans.map(({ name }) => name)
const attribute = ({ attributes }: Span, name: string) => attributes.find(({ key }) => key === name)?.value

test('one span of the request, and below it one for each component and each attempt', async () => {
  const { spans } = await traced(1)
  let failures = 1
  toy.sinks['sink'].behave = () =>
    failures-- > 0 ? Promise.reject(new DeliveryError('DELIVERY_BUSY', 'retry', 'busy')) : Promise.resolve(undefined)
  await toy.push(body).outcome
  await expect.poll(() => toy.sinks['sink'].all.length).toBe(5)
  await expect.poll(() => spans.length).toBe(5)
  expect(namesOf(spans).toSorted()).toEqual([
    'exporter/sink/traces',
    'exporter/sink/traces',
    'processor/namespace_filter/traces',
    'processor/namespace_filter/traces',
    'receiver/toy/traces',
  ])
  const root = spans.find(({ name }) => name.startsWith('receiver'))
  expect(root?.parent_span_id).toBeUndefined()
  expect(new Set(spans.map(span => span.trace_id))).toEqual(new Set([root?.trace_id]))
  for (const span of spans) {
    if (span !== root) expect(span.parent_span_id).toBe(root?.span_id)
    expect(BigInt(span.end_time_unix_nano)).toBeGreaterThanOrEqual(BigInt(span.start_time_unix_nano))
  }
  const dropped = spans.find(span => attribute(span, 'kymo.event')?.['string_value'] === 'dropped')
  expect(dropped && attribute(dropped, 'kymo.reason')).toEqual({ string_value: 'namespace_system' })
  expect(dropped && attribute(dropped, 'kymo.items')).toEqual({ int_value: '3' })
  const failed = spans.filter(({ status }) => status !== undefined)
  expect(failed.map(({ name, status }) => [name, status])).toEqual([
    ['exporter/sink/traces', { message: 'busy', code: 2 }],
  ])
})

test('a share of the requests is traced, and no more than so many a second', async () => {
  const quarter = await traced(0.25)
  for (let i = 0; i < 20; i++) await toy.push(body).outcome
  expect(namesOf(quarter.spans).filter(name => name.startsWith('receiver'))).toHaveLength(5)
  await toy.graph.stop(50)
  const few = await traced(1, 2)
  for (let i = 0; i < 20; i++) await toy.push(body).outcome
  // The second may have turned once.
  expect(namesOf(few.spans).filter(name => name.startsWith('receiver')).length).toBeLessThanOrEqual(4)
})

test('while nobody takes spans, nothing is traced', async () => {
  const { spans, end } = await traced(1)
  end()
  await toy.push(body).outcome
  expect(spans).toEqual([])
})

test('the trace of the sender goes on, where its headers are kept', async () => {
  const { spans } = await traced(1)
  const trace = '0af7651916cd43dd8448eb211c80319c'
  await toy.push(body, { metadata: { traceparent: `00-${trace}-b7ad6b7169203331-01` } }).outcome
  const root = spans.find(({ name }) => name.startsWith('receiver'))
  expect(root).toMatchObject({ trace_id: `0x${trace}`, parent_span_id: '0xb7ad6b7169203331' })
  await toy.push(body, { metadata: { traceparent: 'nonsense' } }).outcome
  expect(spans.findLast(({ name }) => name.startsWith('receiver'))?.trace_id).not.toBe(`0x${trace}`)
})
