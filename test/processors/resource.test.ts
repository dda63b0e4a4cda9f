import { afterEach, expect, test } from 'vitest'
import { resource } from '../../processors/resource.ts'
import { encodeGroups } from '../../proto/group.ts'
import { toyGraph, type ToyGraph } from '../support/graph.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'
import { encode, flatten, type Plain } from '../support/otlp.ts'

let toy: ToyGraph | undefined
afterEach(async () => {
  await toy?.graph.stop(100)
  expect(toy?.books.faults() ?? []).toEqual([])
  expect(toy?.budget.used ?? 0).toBe(0)
  toy = undefined
})

const start = async (attributes: object[]): Promise<ToyGraph> => {
  toy = await toyGraph({
    exporters: { sink: {} },
    components: { resource: { definition: resource, config: { attributes } } },
    pipelines: [{ processors: ['resource'], exporters: ['sink'] }],
  })
  return toy
}

const attributesOf = (plain: unknown): [string, unknown][] =>
  (((plain as Plain | undefined)?.['attributes'] ?? []) as { key: string; value: Plain }[]).map(({ key, value }) => [
    key,
    Object.values(value)[0],
  ])

/** Resource attributes of each group that came out, for resources given by their attributes. */
async function run(actions: object[], resources: object[], metadata: Record<string, string> = {}): Promise<unknown[]> {
  const { push, sinks } = await start(actions)
  const body = encode('ExportTraceServiceRequest', {
    resource_spans: resources.map(attributes => ({
      resource: { attributes: Object.entries(attributes).map(([key, value]) => ({ key, value: valueOf(value) })) },
      scope_spans: [{ spans: [{ name: 's' }] }],
    })),
  })
  expect((await push(body, { metadata }).outcome).kind).toBe('success')
  return flatten('traces', encodeGroups(sinks['sink'].batches[0].groups)).map(item => attributesOf(item.resource))
}

const valueOf = (value: unknown): object => {
  if (typeof value === 'string') return { string_value: value }
  if (typeof value === 'boolean') return { bool_value: value }
  return Number.isInteger(value) ? { int_value: value } : { double_value: value }
}

test.each<[string, object[], object, [string, unknown][]]>([
  [
    'insert adds what is missing',
    [{ key: 'b', value: 1, action: 'insert' }],
    { a: 'x' },
    [
      ['a', 'x'],
      ['b', '1'],
    ],
  ],
  ['insert leaves what is there', [{ key: 'a', value: 1, action: 'insert' }], { a: 'x' }, [['a', 'x']]],
  [
    'update changes what is there',
    [{ key: 'a', value: true, action: 'update' }],
    { a: 'x', b: 'y' },
    [
      ['a', true],
      ['b', 'y'],
    ],
  ],
  ['update adds nothing', [{ key: 'b', value: 1, action: 'update' }], { a: 'x' }, [['a', 'x']]],
  [
    'upsert adds',
    [{ key: 'b', value: 2.5, action: 'upsert' }],
    { a: 'x' },
    [
      ['a', 'x'],
      ['b', 2.5],
    ],
  ],
  [
    'upsert changes in place',
    [{ key: 'a', value: 'z', action: 'UPSERT' }],
    { a: 'x', b: 'y' },
    [
      ['a', 'z'],
      ['b', 'y'],
    ],
  ],
  ['delete removes by key', [{ key: 'a', action: 'delete' }], { a: 'x', b: 'y' }, [['b', 'y']]],
  [
    'delete removes by pattern',
    [{ pattern: '^k8s[.]', action: 'delete' }],
    { 'k8s.pod': 'x', b: 'y', 'k8s.node': 'n' },
    [['b', 'y']],
  ],
  [
    'hash replaces by SHA-256',
    [{ key: 'a', action: 'hash' }],
    { a: 'x' },
    [['a', '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881']],
  ],
  [
    'extract sets what its groups match',
    [{ key: 'pod', pattern: '^(?P<app>.*)-(?P<hash>[a-z0-9]+)$', action: 'extract' }],
    { pod: 'web-7d9f', app: 'old' },
    [
      ['pod', 'web-7d9f'],
      ['app', 'web'],
      ['hash', '7d9f'],
    ],
  ],
  [
    'extract leaves what does not match',
    [{ key: 'a', pattern: '(?P<n>[0-9])', action: 'extract' }],
    { a: 'x' },
    [['a', 'x']],
  ],
  [
    'convert makes numbers of texts',
    [{ key: 'a', converted_type: 'int', action: 'convert' }],
    { a: '12' },
    [['a', '12']],
  ],
  [
    'convert makes texts of numbers',
    [{ key: 'a', converted_type: 'string', action: 'convert' }],
    { a: 12 },
    [['a', '12']],
  ],
  [
    'from_attribute copies',
    [{ key: 'b', from_attribute: 'a', action: 'upsert' }],
    { a: 12 },
    [
      ['a', '12'],
      ['b', '12'],
    ],
  ],
  [
    'from_attribute without that attribute does nothing',
    [{ key: 'b', from_attribute: 'c', action: 'upsert' }],
    { a: 12 },
    [['a', '12']],
  ],
  [
    'from_context reads request metadata',
    [{ key: 't', from_context: 'metadata.X-Tenant', action: 'insert' }],
    {},
    [['t', 'acme']],
  ],
  [
    'from_context that is not there does nothing',
    [{ key: 't', from_context: 'auth.subject', action: 'insert' }],
    { a: 'x' },
    [['a', 'x']],
  ],
  [
    'actions are applied in order',
    [
      { key: 'a', action: 'delete' },
      { key: 'a', value: 'new', action: 'insert' },
      { key: 'b', from_attribute: 'a', action: 'insert' },
    ],
    { a: 'x', c: 'z' },
    [
      ['c', 'z'],
      ['a', 'new'],
      ['b', 'new'],
    ],
  ],
])('%s', async (_name, actions, attributes, expected) => {
  expect(await run(actions, [attributes], { 'x-tenant': 'acme' })).toEqual([expected])
})

test('each resource of a batch gets its own, and one without a resource gets one', async () => {
  const { push, sinks, budget } = await start([
    { key: 'cluster', value: 'eu', action: 'upsert' },
    { key: 'k8s.namespace.name', value: 'moved', action: 'update' },
  ])
  const body = tracesRequest([
    { namespace: 'shop', spans: ['a'] },
    { spans: ['b'] },
    { namespace: 'cart', spans: ['c'] },
  ])
  const bare = encode('ExportTraceServiceRequest', { resource_spans: [{ scope_spans: [{ spans: [{ name: 'd' }] }] }] })
  let charged = 0
  sinks['sink'].behave = () => {
    charged = budget.used
    return Promise.resolve(undefined)
  }
  await push(Buffer.concat([body, bare])).outcome
  const items = flatten('traces', encodeGroups(sinks['sink'].batches[0].groups))
  expect(items.map(({ resource }) => attributesOf(resource))).toEqual([
    [
      ['k8s.namespace.name', 'moved'],
      ['cluster', 'eu'],
    ],
    [['cluster', 'eu']],
    [
      ['k8s.namespace.name', 'moved'],
      ['cluster', 'eu'],
    ],
    [['cluster', 'eu']],
  ])
  // What was made for the edited resources is charged too.
  expect(charged).toBeGreaterThan(body.length + bare.length)
})

test('what no action touches goes on as it is', async () => {
  const { push, sinks } = await start([{ key: 'missing', action: 'delete' }])
  const body = tracesRequest([{ namespace: 'shop', spans: ['a'] }])
  await push(body).outcome
  expect(encodeGroups(sinks['sink'].batches[0].groups).equals(body)).toBe(true)
  expect(sinks['sink'].batches[0].groups[0].untouched).toBe(true)
})

test.each([
  ['no action', { attributes: [] }, 'attributes'],
  ['an unknown action', { attributes: [{ key: 'a', action: 'set', value: 1 }] }, 'attributes.0.action'],
  ['insert without a value', { attributes: [{ key: 'a', action: 'insert' }] }, 'attributes.0.value'],
  ['two values', { attributes: [{ key: 'a', action: 'insert', value: 1, from_attribute: 'b' }] }, 'attributes.0.value'],
  ['no key', { attributes: [{ action: 'upsert', value: 1 }] }, 'attributes.0.key'],
  ['delete with neither key nor pattern', { attributes: [{ action: 'delete' }] }, 'attributes.0.key'],
  ['delete with a value', { attributes: [{ key: 'a', action: 'delete', value: 1 }] }, 'attributes.0.value'],
  [
    'upsert with a pattern',
    { attributes: [{ key: 'a', action: 'upsert', value: 1, pattern: 'x' }] },
    'attributes.0.pattern',
  ],
  ['a pattern that is none', { attributes: [{ action: 'delete', pattern: '(' }] }, 'attributes.0.pattern'],
  ['extract without a pattern', { attributes: [{ key: 'a', action: 'extract' }] }, 'attributes.0.pattern'],
  [
    'extract with a group without a name',
    { attributes: [{ key: 'a', action: 'extract', pattern: '(?P<x>.)(.)' }] },
    'attributes.0.pattern',
  ],
  ['extract without groups', { attributes: [{ key: 'a', action: 'extract', pattern: 'x' }] }, 'attributes.0.pattern'],
  [
    'convert to what is no type',
    { attributes: [{ key: 'a', action: 'convert', converted_type: 'bool' }] },
    'attributes.0.converted_type',
  ],
  ['convert to nothing', { attributes: [{ key: 'a', action: 'convert' }] }, 'attributes.0.converted_type'],
  [
    'a type that is not asked for',
    { attributes: [{ key: 'a', action: 'delete', converted_type: 'int' }] },
    'attributes.0.converted_type',
  ],
])('%s is an error at its place', (_name, config, path) => {
  const result = resource.config.safeParse(config)
  expect(result.error?.issues.map(issue => issue.path.join('.'))).toEqual([path])
})
