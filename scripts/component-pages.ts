/** The pages of docs/components, made from the declarations of the components. */
import * as z from 'zod'
import { kinds } from '../config/components.ts'
import { plainOf, yamlOf } from '../config/document.ts'
import { filled } from '../config/effective.ts'
import { keysOf, shapeOf } from '../config/shape.ts'
import type { Definition } from '../core/component.ts'
import { runsText } from '../core/worker.ts'

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

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ')

function presetText({ preset, required, type }: Option): string {
  if (required) return '**required**'
  if (preset === undefined || preset === null) return ''
  if (preset === '') return type === 'text' || type.startsWith('`') ? '`""`' : ''
  return `\`${typeof preset === 'string' ? preset : JSON.stringify(preset)}\``
}

const made = '<!-- Made from the component’s declaration by `npm run docs`; do not edit. -->\n'

/** The page of one component. */
export function componentPage(definition: Definition): string {
  const { kind, type, aliases = [], summary, stability, config, examples, table } = definition
  const facts = [
    ['Kind', kind],
    ['Stability', stability],
    ...(definition.kind === 'connector'
      ? [['From, to', definition.joins.map(([from, to]) => `${from} to ${to}`).join(', ')]]
      : definition.signals.length > 0
        ? [['Signals', definition.signals.join(', ')]]
        : []),
    ...(aliases.length > 0 ? [['Also called', aliases.map(name => `\`${name}\``).join(', ')]] : []),
    ['In several processes it runs', placeOf(definition)],
    ...('hold' in definition ? [['Holds data', holds[definition.hold]]] : []),
  ]
  const rows = optionsOf(config).map(one => {
    const { name, type: kindOfValue, secret, description } = one
    const what = secret && kindOfValue !== 'secret' ? `${kindOfValue} (secret)` : kindOfValue
    return `| \`${name}\` | ${cell(what)} | ${cell(presetText(one))} | ${cell(description)} |`
  })
  const options =
    rows.length === 0
      ? 'None.\n'
      : `| Option | Type | Default | What it does |\n|---|---|---|---|\n${rows.join('\n')}\n`
  return `# ${type} (${kind})

${made}
${summary}

| | |
|---|---|
${facts.map(([name, value]) => `| ${name} | ${value} |`).join('\n')}

## Options

${options}${lists.test(options) ? '\nA list of texts may be written as one text with commas.\n' : ''}
${table === undefined ? '' : tableText(table)}## Examples
${examples.map(one => exampleText(definition, one)).join('')}`
}

function tableText({ title, text, head, rows }: NonNullable<Definition['table']>): string {
  const lines = [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.map(cell).join(' | ')} |`)
  return `## ${title}\n\n${text}\n\n${lines.join('\n')}\n\n`
}

const places: Readonly<Record<string, string>> = { each: 'in each', one: 'in one' }

/** Where it runs, as a sentence goes on. */
function placeOf(definition: Definition): string {
  const text = runsText(definition)
  return places[text] ?? (text.startsWith('by ') ? `in each, ${text}` : text)
}

const lists = /\| list of texts or text \|/

const holds = {
  none: 'no',
  flush: 'for a moment; a stop sends it on',
  state: 'in memory, longer than a sender waits',
} as const

function exampleText({ kind, type }: Definition, { title, config }: Definition['examples'][number]): string {
  return `\n${title}:\n\n\`\`\`yaml\n${yamlOf({ [`${kind}s`]: { [type]: config } })}\`\`\`\n`
}

/** Where the page of a component stands. */
export const pathOf = ({ kind, type }: Pick<Definition, 'kind' | 'type'>) => `docs/components/${kind}/${type}.md`

/** The list of all components. */
export function componentsPage(definitions: readonly Definition[]): string {
  const sections = kinds.flatMap(kind => {
    const mine = definitions.filter(one => one.kind === kind).toSorted((a, b) => (a.type < b.type ? -1 : 1))
    if (mine.length === 0) return []
    const rows = mine.map(({ type, aliases = [], summary, stability }) => {
      const others = aliases.length === 0 ? '' : ` (${aliases.map(name => `\`${name}\``).join(', ')})`
      return `| [\`${type}\`](${kind}/${type}.md)${others} | ${stability} | ${cell(summary)} |`
    })
    const heading = `${kind.charAt(0).toUpperCase()}${kind.slice(1)}s`
    return [`## ${heading}\n\n| Type | Stability | What it does |\n|---|---|---|\n${rows.join('\n')}\n`]
  })
  return `# Components

${made.replace('the component’s declaration', 'components.ts')}
Every component of this build. \`kymo components\` prints the same list, \`kymo schema\` the JSON Schema of a whole file
([config.schema.json](../config.schema.json)). Durations are written as \`5s\`, \`200ms\`, \`1h30m\`. How files are put
together stands in [configuration](../configuration.md).

${sections.join('\n')}`
}
