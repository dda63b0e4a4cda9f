import { expect, test } from 'vitest'
import { readRequest } from '../../proto/request.ts'
import { noAttribute, notShown, sampleGroups, sampleResource } from '../../proto/sample.ts'
import { encode } from '../support/otlp.ts'

type Resource = { readonly attributes: Readonly<Record<string, string>>; readonly spans: number }

const groupsOf = (...resources: Resource[]) =>
  readRequest(
    'traces',
    encode('ExportTraceServiceRequest', {
      resource_spans: resources.map(({ attributes, spans }) => ({
        resource: {
          attributes: Object.entries(attributes).map(([key, text]) => ({ key, value: { string_value: text } })),
        },
        scope_spans: [{ spans: Array.from({ length: spans }, () => ({ name: 'a' })) }],
      })),
    }),
  ).groups

const numbered = (n: number) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`process.${i}`, String(i)]))
const whose = { 'k8s.pod.name': 'cart-7', 'k8s.namespace.name': 'shop', 'service.name': 'cart' }
const told = { by: undefined, isShown: true, isWhole: true }

test.each([
  ['behind twenty others', { ...numbered(20), ...whose }],
  ['in front', { ...whose, ...numbered(20) }],
])('attributes that tell whose data it is stand first and are never cut off: %s', (_, attributes) => {
  const [group] = groupsOf({ attributes, spans: 1 })
  const sample = sampleResource(group)
  expect(Object.entries(sample).slice(0, 4)).toEqual([
    ['service.name', 'cart'],
    ['k8s.namespace.name', 'shop'],
    ['k8s.pod.name', 'cart-7'],
    ['process.0', '0'],
  ])
  expect(Object.keys(sample)).toHaveLength(12)
})

test('the attribute that decided stands before them', () => {
  const groups = groupsOf({ attributes: { ...numbered(20), ...whose, tier: 'gold' }, spans: 1 })
  expect(Object.keys(sampleGroups(groups, { ...told, by: 'tier' })?.attributes ?? {}).slice(0, 2)).toEqual([
    'tier',
    'service.name',
  ])
})

test('a resource with more attributes than anybody reads is looked at as far as some', () => {
  const [group] = groupsOf({ attributes: { ...numbered(5000), ...whose }, spans: 1 })
  expect(sampleResource(group)).toEqual(numbered(12))
})

test('items are counted by value, of all resources', () => {
  const of = (namespace: string | undefined, spans: number): Resource => ({
    attributes: namespace === undefined ? {} : { 'k8s.namespace.name': namespace },
    spans,
  })
  expect(sampleGroups(groupsOf(of('a', 3), of('b', 2), of('a', 1), of(undefined, 4)), told)).toMatchObject({
    items: 10,
    first: 3,
    values: { 'k8s.namespace.name': { a: 4, b: 2, [noAttribute]: 4 }, 'service.name': { [noAttribute]: 10 } },
  })
  const many = groupsOf(...Array.from({ length: 20 }, (_, i) => of(`n${i}`, 1)))
  expect(Object.keys(sampleGroups(many, told)?.values['k8s.namespace.name'] ?? {})).toHaveLength(8)
})

test('no value is told that may not be shown, and no count of a part that nobody knows', () => {
  const groups = groupsOf({ attributes: whose, spans: 3 })
  const hidden = sampleGroups(groups, { ...told, isShown: false })
  expect(Object.values(hidden?.attributes ?? {})).toEqual([notShown, notShown, notShown])
  expect(hidden?.values).toEqual({})
  expect(sampleGroups(groups, { ...told, isWhole: false })).toMatchObject({ items: 0, first: 0, values: {} })
  expect(sampleGroups([], told)).toBeUndefined()
})
