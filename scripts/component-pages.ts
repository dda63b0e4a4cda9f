/** The pages of docs/components, made from the declarations of the components. */
import { kinds } from '../config/components.ts'
import { yamlOf } from '../config/document.ts'
import { type Option, optionsOf } from '../config/options.ts'
import type { Definition } from '../core/component.ts'
import { runsText } from '../core/worker.ts'

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
