/** JSON Schema (draft 2020-12) of configurations, for editors: of one component, and of a whole file. */
import * as z from 'zod'
import type { Definition, Kind } from '../core/component.ts'
import { allSignals } from '../proto/signals.ts'
import { telemetryConfig } from '../telemetry/config.ts'
import { kinds } from './components.ts'
import { durationText } from './duration-text.ts'
import { sameValue } from './equal.ts'
import { shapeOf } from './shape.ts'
import { eachInner, type JsonSchema, shared } from './shared-schema.ts'

const draft = 'https://json-schema.org/draft/2020-12/schema'

/** Any value may be a reference, which is a text until it is expanded. */
const reference = '\\$\\{'
const duration = `^\\s*(?:0|-?(?:\\d+(?:\\.\\d+)?(?:ns|us|µs|ms|s|m|h))+)\\s*$|${reference}`

/** The schema of the section of one component. */
export function componentSchema(definition: Definition): JsonSchema {
  return { $schema: draft, ...described(definition) }
}

function described({ kind, type, summary, config, examples }: Definition): JsonSchema {
  const configs = examples.map(example => example.config)
  return {
    title: `${kind} ${type}`,
    description: summary,
    ...(configs.length > 0 ? { examples: configs } : {}),
    ...jsonSchemaOf(config),
  }
}

/** The schema of a whole configuration. */
export function fileSchema(definitions: readonly Definition[]): JsonSchema {
  const defs: Record<string, JsonSchema> = {}
  for (const definition of definitions) {
    const name = nameOf(definition)
    defs[name] = moved(described(definition), name)
  }
  defs['telemetry'] = moved(jsonSchemaOf(telemetryConfig), 'telemetry')
  const sections = kinds.map(kind => [`${kind}s`, sectionOf(kind, definitions)] as const)
  return shared({
    $schema: draft,
    title: 'Configuration of Kymo',
    description: "In the form of the OpenTelemetry Collector's.",
    type: 'object',
    properties: { ...Object.fromEntries(sections), service },
    // `a::b: 1` is `a: {b: 1}`.
    patternProperties: { '::': {} },
    additionalProperties: false,
    $defs: defs,
  })
}

const nameOf = ({ kind, type }: Definition) => `${kind}.${type}`

const descriptions: Readonly<Record<Kind, string>> = {
  receiver: 'How data comes in, by id: `type` or `type/name`.',
  processor: 'What is done with data, by id: `type` or `type/name`.',
  exporter: 'Where data goes, by id: `type` or `type/name`.',
  connector: 'What leads from one pipeline into another, by id: `type` or `type/name`.',
  extension: 'What is not part of a pipeline, by id: `type` or `type/name`.',
}

function sectionOf(kind: Kind, definitions: readonly Definition[]): JsonSchema {
  const properties: Record<string, JsonSchema> = {}
  const patternProperties: Record<string, JsonSchema> = { '::': {} }
  for (const definition of definitions.filter(one => one.kind === kind)) {
    const target = { $ref: `#/$defs/${nameOf(definition)}` }
    const { type, aliases = [], summary } = definition
    properties[type] = target
    patternProperties[`^${type}/.+$`] = target
    for (const alias of aliases) {
      const older = { ...target, description: `Older name of \`${type}\`. ${summary}`, deprecated: true }
      properties[alias] ??= older
      patternProperties[`^${alias}/.+$`] ??= older
    }
  }
  const description = descriptions[kind]
  return relaxed({ type: 'object', description, properties, patternProperties, additionalProperties: false })
}

const ids = (description: string) => relaxed({ type: 'array', description, items: { type: 'string', minLength: 1 } })

const service: JsonSchema = relaxed({
  type: 'object',
  description: 'What runs, and how it is connected.',
  properties: {
    telemetry: { $ref: '#/$defs/telemetry', description: 'What Kymo tells of itself.' },
    extensions: ids('Extensions that are started, by id.'),
    pipelines: relaxed({
      type: 'object',
      description: `Ways of data, by id: the signal (${allSignals.join(', ')}), or \`signal/name\`.`,
      patternProperties: {
        [`^(?:${allSignals.join('|')})(?:/.+)?$`]: relaxed({
          type: 'object',
          properties: {
            receivers: ids('Receivers or connectors the data comes from.'),
            processors: ids('Processors, in the order in which they work.'),
            exporters: ids('Exporters or connectors the data goes to.'),
          },
          additionalProperties: false,
        }),
      },
      additionalProperties: false,
    }),
  },
  patternProperties: { '::': {} },
  additionalProperties: false,
})

/** What zod makes of a schema, in the form users write, with everything a file may have in place of a value. */
function jsonSchemaOf(schema: z.core.$ZodType): JsonSchema {
  const made: JsonSchema = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => complete(zodSchema, jsonSchema),
  })
  const { $schema: _, ...rest } = made
  return deeply(rest, relaxed)
}

/** What zod leaves out, because a value is changed on its way in: defaults, and the form of durations. */
function complete(schema: z.core.$ZodTypes, made: z.core.JSONSchema.BaseSchema): void {
  const { def } = schema._zod
  const { secret, duration: isDuration } = shapeOf(schema)
  if (isDuration) {
    delete made.anyOf
    delete made.format
    Object.assign(made, { type: ['string', 'number', 'null'], pattern: duration })
  }
  if (def.type === 'default' && made.default === undefined) {
    const preset =
      isDuration && typeof def.defaultValue === 'number' ? durationText(def.defaultValue) : def.defaultValue
    const parsed = z.safeParse(def.innerType, preset)
    if (parsed.success && sameValue(parsed.data, def.defaultValue)) made.default = preset
  }
  delete made['secret']
  delete made['reference']
  delete made['deciding']
  delete made['role']
  delete made['signal']
  if (def.type === 'bigint') made.type = 'integer'
  if (secret && made.type === 'string') made.writeOnly = true
}

/** Takes a null, which stands for the default, and a reference beside what a schema takes. */
function relaxed(schema: JsonSchema): JsonSchema {
  const { oneOf, enum: values, type, format: _, ...rest } = schema
  // Null and references fit all options at once.
  if (Array.isArray(oneOf)) return { ...rest, anyOf: oneOf }
  if (Array.isArray(values)) return { ...rest, anyOf: [{ enum: values }, { type: 'string', pattern: reference }] }
  if (type === undefined) return schema
  const types = new Set<unknown>(Array.isArray(type) ? type : [type])
  const hasText = types.has('string')
  const { pattern } = rest
  const texts =
    typeof pattern !== 'string'
      ? hasText
        ? {}
        : { pattern: reference }
      : { pattern: pattern.includes(reference) ? pattern : `${pattern}|${reference}` }
  return { ...rest, type: [...types.add('null').add('string')], ...texts }
}

/** A schema in which every schema is changed, from the inside out. */
function deeply(schema: JsonSchema, change: (schema: JsonSchema) => JsonSchema): JsonSchema {
  return change(eachInner(schema, inner => deeply(inner, change)))
}

/** A schema that was a document of its own, as one among the definitions of another. */
function moved(schema: JsonSchema, name: string): JsonSchema {
  return deeply(schema, one => {
    const { $ref } = one
    return typeof $ref === 'string' && $ref.startsWith('#') ? { ...one, $ref: `#/$defs/${name}${$ref.slice(1)}` } : one
  })
}
