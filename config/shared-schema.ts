/** What stands in a JSON Schema more than once, told once: among its definitions, and by reference everywhere else. */

/** A schema as JSON. */
export type JsonSchema = { [keyword: string]: unknown }

/** Where a schema has other schemas in it. */
const mapsOfSchemas: ReadonlySet<string> = new Set(['properties', 'patternProperties', '$defs'])
const listsOfSchemas: ReadonlySet<string> = new Set(['anyOf', 'oneOf', 'allOf', 'prefixItems'])
const schemasThemselves: ReadonlySet<string> = new Set(['items', 'additionalProperties', 'not'])

/** What differs from place to place and stays there, beside the reference. */
const remarks: ReadonlySet<string> = new Set(['title', 'description', 'default', 'examples', 'deprecated'])

/** Shorter ones are as easily read where they are. */
const leastLength = 120

const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A schema with its inner schemas changed, each told the name of the key it stands under. */
export function eachInner(
  schema: JsonSchema,
  change: (inner: JsonSchema, key: string) => JsonSchema,
  key = 'value',
): JsonSchema {
  const changed = (value: unknown, name: string): unknown => (isSchema(value) ? change(value, name) : value)
  const made: JsonSchema = {}
  for (const [keyword, value] of Object.entries(schema)) {
    if (mapsOfSchemas.has(keyword) && isSchema(value)) {
      const inner = Object.entries(value).map(([name, one]) => {
        return [name, changed(one, keyword === 'patternProperties' ? key : name)] as const
      })
      made[keyword] = Object.fromEntries(inner)
    } else if (listsOfSchemas.has(keyword) && Array.isArray(value)) made[keyword] = value.map(one => changed(one, key))
    else made[keyword] = schemasThemselves.has(keyword) ? changed(value, key) : value
  }
  return made
}

/** A schema without its remarks as text; undefined for one that is not worth a definition. */
function substance(schema: JsonSchema): string | undefined {
  if ('$defs' in schema) return undefined
  const text = JSON.stringify(Object.entries(schema).filter(([keyword]) => !remarks.has(keyword)))
  return text.length < leastLength ? undefined : text
}

/** The schema without its remarks. */
const bare = (schema: JsonSchema): JsonSchema =>
  Object.fromEntries(Object.entries(schema).filter(([keyword]) => !remarks.has(keyword)))

/** The same schema, a whole document, with definitions for what stands in it more than once. */
export function shared(document: JsonSchema): JsonSchema {
  const sharing = new Sharing(document)
  // What stands twice in something that stood twice may stand only once now, so it is counted anew.
  while (sharing.round());
  return sharing.result
}

class Sharing {
  document: JsonSchema
  /** The definitions made here. */
  readonly #made = new Map<string, JsonSchema>()

  constructor(document: JsonSchema) {
    this.document = document
  }

  /** Moves the outermost of what stands more than once; says whether anything did. */
  round(): boolean {
    const counts = new Map<string, number>()
    const names = new Map<string, string>()
    for (const [name, schema] of this.#made) {
      const text = substance(schema)
      if (text !== undefined) names.set(text, name)
    }
    const count = (schema: JsonSchema): JsonSchema => {
      const text = substance(schema)
      const before = text === undefined ? 0 : (counts.get(text) ?? 0)
      if (text !== undefined) counts.set(text, before + 1)
      // What is in a copy goes with it.
      const isCopy = before > 0 || (text !== undefined && names.has(text))
      return isCopy ? schema : eachInner(schema, count)
    }
    eachInner(this.document, count)
    for (const schema of this.#made.values()) eachInner(schema, count)

    let moved = false
    const move = (schema: JsonSchema, key: string): JsonSchema => {
      const text = substance(schema)
      if (text === undefined || (!names.has(text) && (counts.get(text) ?? 0) < 2)) return eachInner(schema, move, key)
      moved = true
      const name = names.get(text) ?? this.#freeName(key)
      names.set(text, name)
      if (!this.#made.has(name)) this.#made.set(name, bare(schema))
      const own = Object.entries(schema).filter(([keyword]) => remarks.has(keyword))
      return { ...Object.fromEntries(own), $ref: `#/$defs/${name}` }
    }
    const earlier = [...this.#made]
    this.document = eachInner(this.document, move)
    for (const [name, schema] of earlier) this.#made.set(name, eachInner(schema, move, name))
    return moved
  }

  #freeName(key: string): string {
    const { $defs } = this.document
    const taken = (name: string) => this.#made.has(name) || (isSchema($defs) && name in $defs)
    let name = key
    for (let n = 2; taken(name); n++) name = `${key}.${n}`
    return name
  }

  /** The document with all definitions. */
  get result(): JsonSchema {
    if (this.#made.size === 0) return this.document
    return { ...this.document, $defs: { ...(this.document['$defs'] as object), ...Object.fromEntries(this.#made) } }
  }
}
