import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { components } from '../support/components.ts'
import { fileSchema } from '../../config/schema.ts'
import { eachInner, shared, type JsonSchema } from '../../config/shared-schema.ts'

const tls = (description?: string): JsonSchema => ({
  ...(description === undefined ? {} : { description }),
  type: 'object',
  properties: { ca_file: { type: 'string' }, cert_file: { type: 'string' }, key_file: { type: 'string' } },
  additionalProperties: false,
})
const server = (port: number): JsonSchema => ({
  type: 'object',
  properties: { endpoint: { type: 'string', default: `localhost:${port}` }, tls: tls('Of the server.') },
})

test('what stands twice is told once, and what is said of it stays where it is said', () => {
  expect(shared({ properties: { a: tls('one'), b: tls('other'), c: { type: 'string' } } })).toEqual({
    properties: {
      a: { description: 'one', $ref: '#/$defs/a' },
      b: { description: 'other', $ref: '#/$defs/a' },
      c: { type: 'string' },
    },
    $defs: { a: tls() },
  })
})

test('so is what stands in it and elsewhere; definitions that are there keep their names', () => {
  const made = shared({
    properties: { a: server(1), b: server(1), c: { type: 'object', properties: { tls: tls() } } },
    $defs: { tls: { type: 'string' } },
  })
  expect(made).toEqual({
    properties: {
      a: { $ref: '#/$defs/a' },
      b: { $ref: '#/$defs/a' },
      c: { type: 'object', properties: { tls: { $ref: '#/$defs/tls.2' } } },
    },
    $defs: {
      tls: { type: 'string' },
      a: {
        type: 'object',
        properties: {
          endpoint: { type: 'string', default: 'localhost:1' },
          tls: { description: 'Of the server.', $ref: '#/$defs/tls.2' },
        },
      },
      'tls.2': tls(),
    },
  })
})

test('where nothing stands twice, nothing is changed', () => {
  const document = { properties: { a: tls(), b: { type: 'array', items: { type: 'string' } } } }
  expect(shared(document)).toEqual(document)
})

/** The schema with every reference to a definition replaced by it. */
function unfolded(schema: JsonSchema, defs: Record<string, JsonSchema>): JsonSchema {
  const { $ref, ...rest } = schema
  const whole: JsonSchema = typeof $ref === 'string' ? { ...defs[$ref.slice('#/$defs/'.length)], ...rest } : rest
  const again = typeof whole['$ref'] === 'string' ? unfolded(whole, defs) : whole
  return eachInner(again, inner => unfolded(inner, defs))
}

const schemas = fc.letrec<{ schema: JsonSchema; object: JsonSchema }>(tie => ({
  schema: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<JsonSchema>({ type: 'string' }, tls(), tls('again'), server(1), server(2)),
    tie('object'),
    fc.record({ type: fc.constant('array'), items: tie('schema') }),
    fc.record({ anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }) }),
  ),
  object: fc.record(
    {
      type: fc.constant('object'),
      properties: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'tls'), tie('schema'), { maxKeys: 4 }),
      patternProperties: fc.dictionary(fc.constantFrom('^x', '^y'), tie('schema'), { maxKeys: 2 }),
      additionalProperties: fc.oneof(fc.boolean(), tie('schema')),
      description: fc.constantFrom('p', 'q'),
    },
    { requiredKeys: ['type', 'properties'] },
  ),
}))

test('followed to their definitions, the references are what stood there', () => {
  fc.assert(
    fc.property(schemas.object, document => {
      const { $defs, ...rest } = shared(document)
      const defs = ($defs ?? {}) as Record<string, JsonSchema>
      expect(unfolded(rest, defs)).toEqual(document)
      // Nothing is defined that is not used more than once.
      for (const name of Object.keys(defs)) {
        const text = JSON.stringify([rest, defs])
        expect(text.split(JSON.stringify(`#/$defs/${name}`)).length, name).toBeGreaterThan(2)
      }
    }),
    { numRuns: 300 },
  )
})

test('the schema of a file tells its large parts once', () => {
  const text = JSON.stringify(fileSchema(components))
  expect(text.split('"ca_file":').length).toBeLessThan(6)
  expect(text.length).toBeLessThan(190_000)
})
