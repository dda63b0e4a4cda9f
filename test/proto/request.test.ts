import { expect, test } from 'vitest'
import { maxAttributes, readRequest } from '../../proto/request.ts'
import { encode } from '../support/otlp.ts'

const attributes = (n: number) => Array.from({ length: n }, (_, i) => ({ key: `k${i}`, value: { int_value: i } }))
const request = (resource: number, scope: number) =>
  encode('ExportTraceServiceRequest', {
    resource_spans: [
      {
        resource: { attributes: attributes(resource) },
        scope_spans: [{ scope: { attributes: attributes(scope) }, spans: [{ name: 'a' }] }],
      },
    ],
  })

test('a resource and a scope may have as many attributes as anybody needs', () => {
  expect(readRequest('traces', request(maxAttributes, maxAttributes)).items).toBe(1)
})

test.each([
  ['resource', maxAttributes + 1, 0],
  ['scope', 0, maxAttributes + 1],
])('a %s with more is refused', (what, resource, scope) => {
  expect(() => readRequest('traces', request(resource, scope))).toThrow(`a ${what} has more than 10000 attributes`)
})
