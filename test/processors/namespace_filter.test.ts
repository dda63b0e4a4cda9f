import { afterEach, expect, test } from 'vitest'
import { namespaceFilter } from '../../processors/namespace_filter.ts'
import { toyGraph, type ToyGraph } from '../support/graph.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'
import { encode } from '../support/otlp.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(100)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

const resources = [
  { namespace: 'shop', spans: ['shop-1', 'shop-2'] },
  { namespace: 'kube-system', spans: ['kube'] },
  { namespace: 'istio-system', spans: ['istio'] },
  { namespace: 'kyma-system', spans: ['kyma'] },
  { namespace: 'cart', spans: ['cart'] },
  { spans: ['none'] },
]

const start = async (config: object) => {
  toy = await toyGraph({
    exporters: { sink: {} },
    components: { namespace_filter: { definition: namespaceFilter, config } },
    pipelines: [{ processors: ['namespace_filter'], exporters: ['sink'] }],
  })
}

const dropped = (): Record<string, number> => {
  const node = toy.books.nodes.find(({ name }) => name.kind === 'processor')
  return Object.fromEntries([...(node?.dropped.all() ?? [])].filter(c => c.value > 0).map(c => [c.reason, c.value]))
}

test.each([
  [
    'by default all but the system namespaces pass, and what names none',
    {},
    ['shop-1', 'shop-2', 'cart', 'none'],
    { namespace_system: 3 },
  ],
  [
    'with `system` those pass as well',
    { system: true },
    ['shop-1', 'shop-2', 'kube', 'istio', 'kyma', 'cart', 'none'],
    {},
  ],
  [
    'with `include` only those pass',
    { include: ['shop'] },
    ['shop-1', 'shop-2', 'none'],
    { namespace_system: 3, namespace_not_included: 1 },
  ],
  [
    'an included system namespace passes',
    { include: ['shop', 'kube-system'] },
    ['shop-1', 'shop-2', 'kube', 'none'],
    { namespace_system: 2, namespace_not_included: 1 },
  ],
  [
    '`exclude` wins over `include`',
    { include: ['shop', 'cart'], exclude: ['cart'] },
    ['shop-1', 'shop-2', 'none'],
    { namespace_system: 3, namespace_excluded: 1 },
  ],
  [
    '`exclude` wins over `system`',
    { system: true, exclude: 'kube-system, cart' },
    ['shop-1', 'shop-2', 'istio', 'kyma', 'none'],
    { namespace_excluded: 2 },
  ],
  [
    'data without a namespace is dropped when told so',
    { include: ['shop'], without_namespace: 'drop' },
    ['shop-1', 'shop-2'],
    { namespace_system: 3, namespace_not_included: 1, namespace_missing: 1 },
  ],
  [
    'what drops everything answers the sender with success',
    { include: ['nowhere'], without_namespace: 'drop' },
    [],
    { namespace_system: 3, namespace_not_included: 3, namespace_missing: 1 },
  ],
])('%s', async (_name, config, passed, reasons) => {
  await start(config)
  const { outcome } = toy.push(tracesRequest(resources))
  expect((await outcome).kind).toBe('success')
  expect(toy.sinks['sink'].all).toEqual(passed)
  expect(dropped()).toEqual(reasons)
})

test.each([
  ['an integer', { int_value: 5 }],
  ['an empty text', { string_value: '' }],
  ['a list', { array_value: { values: [{ string_value: 'kube-system' }] } }],
  ['no value at all', {}],
])('a namespace that is %s counts as none', async (_name, value) => {
  await start({ without_namespace: 'drop' })
  const body = encode('ExportTraceServiceRequest', {
    resource_spans: [
      {
        resource: { attributes: [{ key: 'k8s.namespace.name', value }] },
        scope_spans: [{ spans: [{ name: 'a' }] }],
      },
    ],
  })
  await toy.push(body).outcome
  expect(dropped()).toEqual({ namespace_missing: 1 })
})

test.each([
  [
    'metrics',
    { resource_metrics: [{ scope_metrics: [{ metrics: [{ gauge: { data_points: [{}, {}] } }] }] }] },
    'Metrics',
  ],
  ['logs', { resource_logs: [{ scope_logs: [{ log_records: [{}, {}] }] }] }, 'Logs'],
] as const)('%s are filtered and counted alike', async (signal, plain, service) => {
  toy = await toyGraph({
    exporters: { sink: {} },
    components: { namespace_filter: { definition: namespaceFilter, config: { without_namespace: 'drop' } } },
    pipelines: [{ id: signal, processors: ['namespace_filter'], exporters: ['sink'] }],
  })
  await toy.push(encode(`Export${service}ServiceRequest`, plain), { signal }).outcome
  expect(dropped()).toEqual({ namespace_missing: 2 })
})

test('an unknown key is an error', async () => {
  await start({})
  expect(namespaceFilter.config.safeParse({ includes: ['a'] }).success).toBe(false)
  expect(namespaceFilter.config.safeParse({ without_namespace: 'keep' }).success).toBe(false)
})
