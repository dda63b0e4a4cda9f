import { expect, test } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { readRequest } from '../../proto/request.ts'
import { maxAttributes } from '../../proto/resource-check.ts'
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

const limit = 64 << 20

test('a resource and a scope may have as many attributes as anybody needs', () => {
  expect(readRequest('traces', request(maxAttributes, maxAttributes), new Budget(limit)).items).toBe(1)
})

test.each([
  ['resource', maxAttributes + 1, 0],
  ['scope', 0, maxAttributes + 1],
])('a %s with more is refused', (what, resource, scope) => {
  const body = request(resource, scope)
  expect(() => readRequest('traces', body, new Budget(limit))).toThrow(`a ${what} has more than 10000 attributes`)
  // What was accepted once may have grown since.
  expect(readRequest('traces', body).items).toBe(1)
})
