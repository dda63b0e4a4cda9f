/** The options of a component, as its schema declares them: what reference pages are made of. */
import * as z from 'zod'
import { plainOf } from './document.ts'
import { filled } from './effective.ts'
import { keysOf, shapeOf } from './shape.ts'

type Schema = z.core.$ZodType

/** One option, as a row of a table. */
export interface Option {
  /** With the sections it is in: `protocols.grpc.endpoint`, `attributes[].key`. */
  readonly name: string
  readonly type: string
  /** As it is written; undefined where there is none. */
  readonly preset: unknown
  readonly required: boolean
  readonly secret: boolean
  readonly description: string
}

/** Every option of a schema, sections before what is in them. */
export function optionsOf(schema: Schema, path = '', seen: readonly Schema[] = []): Option[] {
  const { schema: bare } = shapeOf(schema)
  if (seen.includes(bare)) return []
  const { def } = bare._zod
  const inside = [...seen, bare]
  if (def.type === 'object') {
    return Object.entries(def.shape).flatMap(([key, inner]) => {
      const name = path === '' ? key : `${path}.${key}`
      return [optionOf(name, inner), ...optionsOf(inner, name, inside)]
    })
  }
  if (def.type === 'array') return optionsOf(def.element, `${path}[]`, inside)
  if (def.type === 'record') return optionsOf(def.valueType, `${path}.<name>`, inside)
  if (def.type === 'intersection') return [def.left, def.right].flatMap(side => optionsOf(side, path, inside))
  if (def.type !== 'union') return []
  const found = def.options.flatMap(option => optionsOf(option, path, inside))
  return found.filter((one, i) => found.findIndex(other => other.name === one.name) === i)
}

function optionOf(name: string, schema: Schema): Option {
  const { secret } = shapeOf(schema)
  const required = !z.safeParse(schema, undefined).success
  const node = filled(schema, undefined)
  const isSection = keysOf(schema, undefined).length > 0
  const type = `${typeOf(schema)}${isSection && node === undefined && !required ? ', off unless named' : ''}`
  // What a section has by default stands at its keys.
  const preset = isSection ? undefined : plainOf(node)
  return { name, type, preset, required, secret, description: descriptionOf(schema) }
}

/** The description of the outermost schema that has one. */
function descriptionOf(schema: Schema): string {
  let at: Schema | undefined = schema
  while (at !== undefined) {
    const { description } = z.globalRegistry.get(at) ?? {}
    if (description !== undefined) return description
    const { def }: { def: object } = at._zod
    const inner: unknown = 'innerType' in def ? def.innerType : 'in' in def ? def.in : undefined
    at = inner instanceof z.core.$ZodType ? inner : undefined
  }
  return ''
}

const names: Readonly<Record<string, string>> = {
  string: 'text',
  boolean: 'bool',
  number: 'number',
  bigint: 'number',
  object: 'section',
  any: 'anything',
  unknown: 'anything',
}

function typeOf(schema: Schema, seen: readonly Schema[] = []): string {
  const { schema: bare, secret, duration } = shapeOf(schema)
  if (duration) return 'duration'
  if (secret) return 'secret'
  if (seen.includes(bare)) return 'the same'
  const { def } = bare._zod
  const inside = [...seen, bare]
  if (def.type === 'enum') return Object.values(def.entries).map(quoted).join(', ')
  if (def.type === 'literal') return def.values.map(quoted).join(', ')
  if (def.type === 'array') return `list of ${plural(typeOf(def.element, inside))}`
  if (def.type === 'record') return `map of ${plural(typeOf(def.valueType, inside))}`
  if (def.type === 'union') return unionType(def.options, inside)
  return names[def.type] ?? def.type
}

const quoted = (value: unknown) => (value === '' ? '`""`' : `\`${String(value)}\``)
const plural = (type: string) => (/^[a-z]+$/.test(type) && type !== 'anything' ? `${type}s` : type)

function unionType(options: readonly Schema[], inside: readonly Schema[]): string {
  const isNull = (option: Schema) => shapeOf(option).schema._zod.def.type === 'null'
  const types = options.filter(option => !isNull(option)).map(option => typeOf(option, inside))
  // A number that takes null for 0 is a whole one; a list that takes a text splits it at commas.
  if (types.length === 1 && types[0] === 'number') return 'int'
  return [...new Set(types)].join(' or ')
}
