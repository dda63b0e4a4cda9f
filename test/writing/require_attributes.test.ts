import { expect, test } from 'vitest'
import { requireAttributes } from './require_attributes.ts'
import { toyGraph } from '../support/graph.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'

test.each([
  ['a resource with all of them passes', ['k8s.namespace.name'], ['checkout'], 0],
  ['a resource that lacks one is dropped, with a reason', ['k8s.namespace.name', 'host.name'], [], 1],
  ['nothing is asked for, everything passes', [], ['checkout'], 0],
])('%s', async (_, keys, arrived, dropped) => {
  const toy = await toyGraph({
    exporters: { sink: {} },
    components: { require_attributes: { definition: requireAttributes, config: { keys } } },
    pipelines: [{ processors: ['require_attributes'], exporters: ['sink'] }],
  })
  const { outcome } = toy.push(tracesRequest([{ namespace: 'shop', spans: ['checkout'] }]))
  // A rule is no error: the sender hears success either way.
  expect((await outcome).kind).toBe('success')
  await toy.graph.stop(1000)
  expect(toy.sinks['sink'].all).toEqual(arrived)
  const books = toy.books.nodes.find(({ name }) => name.kind === 'processor')
  expect(books?.dropped.of('attribute_missing').value).toBe(dropped)
  expect(toy.books.faults()).toEqual([])
})
