import { globSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { builtIn } from '../../cli/built-in.ts'
import { components } from '../support/components.ts'
import { plainOf, readDocument } from '../../config/document.ts'
import { errorsOf, toys } from './toys.ts'
import { Report } from '../../config/report.ts'
import { componentSchema, fileSchema } from '../../config/schema.ts'
import type { JsonSchema } from '../../config/shared-schema.ts'

/** A validator that knows draft 2020-12, which fastify brings along. */
interface Validator {
  compile(schema: JsonSchema): ((value: unknown) => boolean) & { errors?: { instancePath: string; message: string }[] }
}
type MakeValidator = new (options: object) => Validator
const require = createRequire(createRequire(import.meta.url).resolve('fastify/package.json'))
const { default: Ajv } = require('ajv/dist/2020.js') as { default: MakeValidator }

/** Strict: an unknown keyword or a reference that leads nowhere is an error. */
const compile = (schema: JsonSchema) =>
  new Ajv({ allErrors: true, strict: true, strictTypes: false, strictTuple: false }).compile(schema)

function complaints(validate: ReturnType<typeof compile>, value: unknown): string[] {
  return validate(value) ? [] : (validate.errors ?? []).map(error => `${error.instancePath} ${error.message}`)
}

const parse = (text: string) => plainOf(readDocument({ name: 'test', text, order: 0 }, new Report()))

const root = join(import.meta.dirname, '../..')
const whole = compile(fileSchema(components))
const toy = compile(fileSchema(toys))

test.each(components.map(one => [`${one.kind} ${one.type}`, one] as const))(
  'the schema of %s takes its examples, and nothing else',
  (_, definition) => {
    const validate = compile(componentSchema(definition))
    for (const { config } of definition.examples) expect(complaints(validate, config)).toEqual([])
    expect(complaints(validate, { no_such_key: 1 })).not.toEqual([])
    expect(complaints(validate, ['a list'])).not.toEqual([])
  },
)

test.each(globSync('examples/*.yaml', { cwd: root }))('%s is right by the schema of files', path => {
  expect(complaints(whole, parse(readFileSync(join(root, path), 'utf8')))).toEqual([])
})

test('so is the built-in configuration', () => {
  expect(complaints(whole, parse(builtIn))).toEqual([])
})

const right: [string, string][] = [
  ['an empty section', 'receivers:'],
  ['a component with nothing behind it', 'processors: {batch: }'],
  ['ids with names', 'processors: {batch/2: {timeout: 1s}, batch/a/b: {}}'],
  ['both generations of names', 'exporters: {otlp: {endpoint: a}, otlp/2: {endpoint: a}, otlp_grpc: {endpoint: a}}'],
  [
    'references in place of numbers, truth values, choices and sections',
    `
exporters:
  otlp_grpc: {endpoint: "\${env:A}", compression: "\${env:C}", tls: {insecure: "\${env:B}"}, sending_queue: "\${file:q}"}
processors: {batch: {send_batch_size: "\${env:N}", timeout: "\${env:T:-5s}"}}`,
  ],
  [
    'durations as texts, as numbers, and as nothing',
    'processors: {batch/1: {timeout: 1h30m}, batch/2: {timeout: 5}, batch/3: {timeout: }}',
  ],
  [
    'null for sections and lists',
    'receivers: {otlp: {protocols: {grpc: , http: }}}\nprocessors: {batch: {metadata_keys: }}',
  ],
  ['keys that nest', 'exporters::debug::verbosity: normal\nservice: {"telemetry::logs::level": debug}'],
  [
    'pipelines with names',
    'service: {pipelines: {traces/a: {receivers: [a], exporters: [b]}, logs: }, extensions: [x]}',
  ],
  ['a part of a configuration, to be merged with others', 'service: {telemetry: {logs: {level: DEBUG}}}'],
  ['one of several forms', 'receivers: {syslog: {mode: {type: udp, max_octets: 1}}, syslog/2: {source: {port: 1}}}'],
  [
    'a schema that contains itself',
    'processors: {resource: {attributes: [{key: a, action: insert, value: {a: [1, {b: x}]}}]}}',
  ],
]
test.each(right)('%s: right', (_, text) => {
  expect(complaints(toy, parse(text))).toEqual([])
})

const wrong: [string, string, string][] = [
  ['an unknown section', 'recievers: {}', ' must NOT have additional properties'],
  ['an unknown type', 'exporters: {debgu: {}}', '/exporters must NOT have additional properties'],
  ['an unknown key', 'exporters: {debug: {verbose: 1}}', '/exporters/debug must NOT have additional properties'],
  [
    'a key that is missing',
    'exporters: {otlp_grpc: {}}',
    "/exporters/otlp_grpc must have required property 'endpoint'",
  ],
  [
    'a text for a number',
    'processors: {batch: {send_batch_size: many}}',
    '/processors/batch/send_batch_size must match pattern',
  ],
  [
    'a duration without its unit',
    'processors: {batch: {timeout: "5"}}',
    '/processors/batch/timeout must match pattern',
  ],
  ['a choice there is not', 'exporters: {debug: {verbosity: loud}}', '/exporters/debug/verbosity must'],
  ['a number out of bounds', 'processors: {tail_sampling: {ratio: 2}}', '/processors/tail_sampling/ratio must be <= 1'],
  ['an unknown signal', 'service: {pipelines: {trace: {}}}', '/service/pipelines must NOT have additional properties'],
  ['an unknown key of a pipeline', 'service: {pipelines: {logs: {receiver: []}}}', '/service/pipelines/logs must NOT'],
  ['a wrong level of logs', 'service: {telemetry: {logs: {encoding: xml}}}', '/service/telemetry/logs/encoding must'],
]
test.each(wrong)('%s: wrong, as it is for the loader', (_, text, complaint) => {
  expect(complaints(toy, parse(text)).join('\n')).toContain(complaint)
  expect(errorsOf(text)).not.toEqual([])
})

/** The schema of one key of the toy build. */
function keyOf(component: string, ...path: string[]): JsonSchema {
  let schema: unknown = (fileSchema(toys)['$defs'] as Record<string, JsonSchema>)[component]
  for (const key of path) schema = (schema as { properties: Record<string, JsonSchema> }).properties[key]
  return schema as JsonSchema
}

test('defaults are those of the form that users write', () => {
  expect(keyOf('processor.batch', 'timeout')).toMatchObject({ default: '200ms' })
  expect(keyOf('processor.batch', 'send_batch_size')).toMatchObject({ default: 8192 })
  expect(keyOf('processor.batch', 'metadata_keys')).toMatchObject({ default: [] })
})

test('secrets are marked, and nothing of ours is left in the schema', () => {
  expect(keyOf('exporter.otlp_http', 'password')).toMatchObject({ writeOnly: true })
  expect(JSON.stringify(fileSchema(components))).not.toMatch(/"secret"|"format":"(?:duration|uri)"|"oneOf"/)
})

test('every key of a component of this build says what it is', () => {
  const silent: string[] = []
  for (const definition of components) {
    const { properties = {} } = componentSchema(definition) as { properties?: Record<string, JsonSchema> }
    for (const [key, schema] of Object.entries(properties)) {
      if (schema['description'] === undefined) silent.push(`${definition.kind} ${definition.type}: ${key}`)
    }
  }
  expect(silent).toEqual([])
})

test('a type is offered by its name; an older name says so', () => {
  const { properties } = fileSchema(toys) as { properties: Record<string, { properties: Record<string, JsonSchema> }> }
  expect(Object.keys(properties['exporters'].properties)).toEqual([
    'otlp_grpc',
    'otlp',
    'otlp_http',
    'otlphttp',
    'debug',
  ])
  expect(properties['exporters'].properties['otlp']).toMatchObject({ deprecated: true })
})
