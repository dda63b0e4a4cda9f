/** What must not be seen is not seen by those who operate either: a canary in a resource shows in no record. */
import { afterEach, expect, test } from 'vitest'
import { forward } from '../../../connectors/forward.ts'
import { DeliveryError } from '../../../core/errors.ts'
import type { JournalEvent } from '../../../core/journal.ts'
import { namespaceFilter } from '../../../processors/namespace_filter.ts'
import { redaction } from '../../../processors/redaction/redaction.ts'
import { sampleResource } from '../../../proto/sample.ts'
import { readRequest } from '../../../proto/request.ts'
import { toyGraph, type ToyGraph, type ToyParts } from '../../support/graph.ts'
import { encode } from '../../support/otlp.ts'
import { withAttributes } from '../../support/processing.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(50)
  expect(toy.books.faults()).toEqual([])
})

const canary = 'CANARY-4711'
const request = (namespace: string, spans: object[] = [{ name: 'a' }]) =>
  encode('ExportTraceServiceRequest', {
    resource_spans: [
      {
        resource: { attributes: withAttributes({ 'user.name': canary, 'k8s.namespace.name': namespace }) },
        scope_spans: [{ spans }],
      },
    ],
  })
const redact = { definition: redaction, config: { allow_all_keys: true, blocked_values: ['CANARY-[0-9]+'] } }
const filter = { definition: namespaceFilter }
const failing: ToyParts['exporters'] = { sink: { retry_on_failure: { enabled: false } } }
const events = (): JournalEvent[] => toy.journal.find({}).flatMap(record => record.events)
const samples = () => events().flatMap(({ sample }) => (sample === undefined ? [] : [sample.attributes['user.name']]))
const fail = (kind: 'rejected' | 'retry') => () =>
  Promise.reject(new DeliveryError('DELIVERY_REJECTED', kind, 'not this one'))

const redacted = '****'
const hidden = '(not redacted yet)'

test.each<[string, Partial<ToyParts>, string, string[]]>([
  [
    'a filter in front of the redaction',
    { pipelines: [{ processors: ['namespace_filter', 'redaction'], exporters: ['sink'] }] },
    'kube-system',
    [hidden],
  ],
  [
    'a filter behind it',
    { pipelines: [{ processors: ['redaction', 'namespace_filter'], exporters: ['sink'] }] },
    'kube-system',
    [redacted],
  ],
  [
    'a destination that rejects',
    { pipelines: [{ processors: ['redaction'], exporters: ['sink'] }] },
    'shop',
    [redacted],
  ],
  [
    'a filter between two redactions',
    {
      components: { namespace_filter: filter, redaction: redact, 'redaction/b': redact },
      pipelines: [{ processors: ['redaction', 'namespace_filter', 'redaction/b'], exporters: ['sink'] }],
    },
    'kube-system',
    [hidden],
  ],
  [
    'a pipeline behind one that redacts',
    {
      components: { namespace_filter: filter, redaction: redact, forward: { definition: forward } },
      pipelines: [
        { id: 'traces', processors: ['redaction'], exporters: ['forward'] },
        { id: 'traces/b', receivers: ['forward'], processors: ['namespace_filter'], exporters: ['sink'] },
      ],
    },
    'kube-system',
    [redacted],
  ],
  [
    'a pipeline in front of one that redacts, which has an exporter of its own',
    {
      exporters: { sink: {}, raw: { retry_on_failure: { enabled: false } } },
      components: { namespace_filter: filter, redaction: redact, forward: { definition: forward } },
      pipelines: [
        { id: 'traces', processors: ['namespace_filter'], exporters: ['forward'] },
        { id: 'traces/b', receivers: ['forward'], processors: ['redaction'], exporters: ['sink'] },
      ],
    },
    'kube-system',
    [hidden],
  ],
])('%s tells no more than is redacted', async (_name, parts, namespace, shown) => {
  toy = await toyGraph({ exporters: failing, components: { namespace_filter: filter, redaction: redact }, ...parts })
  toy.sinks['sink'].behave = fail('rejected')
  await toy.push(request(namespace)).outcome
  await expect.poll(() => new Set(samples().filter(one => one !== undefined)).has(shown[0])).toBe(true)
  expect(JSON.stringify(toy.journal.find({}))).not.toContain(canary)
})

test('what the redaction itself drops or refuses is not shown', async () => {
  toy = await toyGraph({
    exporters: failing,
    components: { redaction: { ...redact, config: { ...redact.config, strict: true } } },
    pipelines: [{ processors: ['redaction'], exporters: ['sink'] }],
  })
  await toy.push(request('shop', [{ name: 'x'.repeat((1 << 20) + 1) }])).outcome
  expect(events().map(({ what, reason }) => [what, reason])).toContainEqual(['dropped', 'too_long'])
  expect(JSON.stringify(toy.journal.find({}))).not.toContain(canary)
})

test('without a redaction values are shown, and with a reload that adds one no more', async () => {
  const plain: ToyParts = {
    exporters: { sink: {} },
    components: { namespace_filter: filter },
    pipelines: [{ processors: ['namespace_filter'], exporters: ['sink'] }],
  }
  toy = await toyGraph(plain)
  await toy.push(request('kube-system')).outcome
  expect(samples()).toContain(canary)
  const before = events().length
  const after: ToyParts = {
    ...plain,
    components: { namespace_filter: filter, redaction: redact },
    pipelines: [{ processors: ['namespace_filter', 'redaction'], exporters: ['sink'] }],
  }
  await (
    await toy.reload(after)
  ).over
  await toy.push(request('kube-system')).outcome
  const later = events().filter(({ sample }) => sample?.attributes['user.name'] === hidden)
  expect([later.length > 0, events().length > before]).toEqual([true, true])
  await (
    await toy.reload(plain)
  ).over
  const [name] = toy.books.nodes.filter(({ name: { id } }) => id === 'namespace_filter').map(node => node.name)
  expect(toy.journal.shows(name)).toBe(true)
})

test('a sample is small, however large keys and values are', async () => {
  toy = await toyGraph({ exporters: { sink: {} } })
  const long = 'x'.repeat(100_000)
  const values = { [long]: long, list: [long], emoji: '🦊'.repeat(1000), n: 1 }
  const body = encode('ExportTraceServiceRequest', {
    resource_spans: [{ resource: { attributes: withAttributes(values) }, scope_spans: [{ spans: [{}] }] }],
  })
  const sample = sampleResource(readRequest('traces', body).groups[0])
  expect(Object.entries(sample).map(([key, value]) => [key.length, value.length])).toEqual([
    [121, 121],
    [4, 1],
    [5, 121],
    [1, 1],
  ])
})
