/** `npm run docs`: writes the pages that are made from tables in the code. A test compares them with what is there. */
import { globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { everyComponent } from '../components.ts'
import { fileSchema } from '../config/schema.ts'
import { codes } from '../core/errors.ts'
import { statusJsonSchema } from '../service/status-schema.ts'
import { ownFamilies } from '../telemetry/families.ts'
import { componentPage, componentsPage, pathOf } from './component-pages.ts'

const components = await everyComponent()
const made = (from: string) => `<!-- Made from ${from} by \`npm run docs\`; do not edit. -->\n`

const areas: Record<string, string> = {
  CONFIG: 'A wrong configuration. Nothing is started; all errors are told at once, with file, line and column.',
  WIRE: 'What a sender sent cannot be taken as it is. The sender hears it in its answer.',
  DELIVERY: 'Data was not taken by a step, a queue or a destination. The books count it under this reason.',
  INTERNAL: 'A fault of Kymo itself.',
}

function errorsPage(): string {
  const sections = Object.entries(areas).map(([area, text]) => {
    const mine = Object.entries(codes).filter(([code]) => code.split('_')[0] === area)
    const rows = mine.map(([code, advice]) => `| \`${code}\` | ${advice} |`)
    return `## ${area}\n\n${text}\n\n| Code | What to do |\n|---|---|\n${rows.join('\n')}\n`
  })
  return `# Errors\n\n${made('core/errors.ts')}\nEvery failure has one of these codes: in logs, in answers to senders, as the reason in metrics.\n\n${sections.join('\n')}`
}

function metricsPage(): string {
  const rows = ownFamilies.map(({ name, type, labels, adds, help }) => {
    const names = labels.map(label => `\`${label}\``).join(', ')
    return `| \`${name}\` | ${type} | ${names} | ${adds} | ${help.replaceAll('|', '\\|')} |`
  })
  return `# Metrics of Kymo itself

${made('telemetry/families.ts')}
Served on \`http://localhost:8888/metrics\` in the Prometheus text format. \`service.telemetry.metrics\` sets the address,
and \`level: none\` turns the page off.

Items are spans, log records and data points. The \`otelcol_*\` names are those of the OpenTelemetry Collector, so that its
dashboards go on working. The \`kymo_*\` names are the books: at every component, in + created + recovered = out +
consumed + delivered + dropped + rejected + dead_lettered + lost + returned + held. \`kymo_books_unbalanced\` says how
many of these equations do not hold.

Over several processes side by side the values of rows with equal labels are added up (\`sum\`), the largest stands for all (\`max\`),
or each keeps a row of its own, with the label \`worker\` (\`each\`).

Where an item went, and why:

\`\`\`
sum by (component, direction, reason) (kymo_component_items_total{direction=~"dropped|rejected|lost"})
\`\`\`

| Metric | Type | Labels | Over processes | What it says |
|---|---|---|---|---|
${rows.join('\n')}
`
}

/** JSON in which what fits into one line stands in one, so that a change is as long in the diff as it is. */
function compactJson(value: unknown, indent = '', used = 0): string {
  const line = JSON.stringify(value)
  if (typeof value !== 'object' || value === null || indent.length + used + line.length <= 120) return line
  const inner = `${indent}  `
  const parts = Array.isArray(value)
    ? value.map(one => inner + compactJson(one, inner))
    : Object.entries(value).map(([key, one]) => {
        const name = `${JSON.stringify(key)}: `
        return inner + name + compactJson(one, inner, name.length)
      })
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  return `${open}\n${parts.join(',\n')}\n${indent}${close}`
}

/** The pages, by path from the root. */
export const pages: ReadonlyMap<string, string> = new Map([
  ['docs/errors.md', errorsPage()],
  ['docs/metrics.md', metricsPage()],
  ['docs/config.schema.json', `${compactJson(fileSchema(components))}\n`],
  ['docs/status.schema.json', `${compactJson(statusJsonSchema())}\n`],
  ['docs/components/README.md', componentsPage(components)],
  ...components.map(one => [pathOf(one), componentPage(one)] as const),
])

if (import.meta.main) {
  const root = join(import.meta.dirname, '..')
  for (const path of globSync('docs/components/**/*.md', { cwd: root })) if (!pages.has(path)) rmSync(join(root, path))
  for (const [path, text] of pages) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
}
