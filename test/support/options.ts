/** The options of a configuration, taken from its schema. */
import * as z from 'zod'

/** As much of JSON Schema as is looked at. */
export interface JsonSchema {
  readonly description?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: boolean | JsonSchema
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly allOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
}

/** The schema of what a user may write. */
export const jsonSchema = (config: z.ZodType) =>
  z.toJSONSchema(config, { io: 'input', unrepresentable: 'any', reused: 'inline', cycles: 'ref' }) as JsonSchema

/** A schema and all that stand in its place: members of unions, elements of lists, values of maps. */
export function objectsOf(schema: JsonSchema): JsonSchema[] {
  const { items, anyOf = [], allOf = [], oneOf = [], additionalProperties } = schema
  const values = typeof additionalProperties === 'object' ? [additionalProperties] : []
  return [schema, ...[...anyOf, ...allOf, ...oneOf, ...values, ...(items ? [items] : [])].flatMap(objectsOf)]
}

/** Every option of a configuration with its path. */
export function options(config: z.ZodType): { path: string; schema: JsonSchema }[] {
  const found: { path: string; schema: JsonSchema }[] = []
  const visit = (schema: JsonSchema, path: string): void => {
    for (const { properties = {} } of objectsOf(schema)) {
      for (const [name, option] of Object.entries(properties)) {
        const at = path === '' ? name : `${path}.${name}`
        found.push({ path: at, schema: option })
        visit(option, at)
      }
    }
  }
  visit(jsonSchema(config), '')
  return found
}
