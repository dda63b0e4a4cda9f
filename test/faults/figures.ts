/** What the long runs find out, printed and kept in RESULTS.md: one section for each scenario. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

const page = join(import.meta.dirname, 'RESULTS.md')
const head = `# Faults: what the last runs found

Each section is written anew by its scenario when \`npm run test:faults\` runs it.
`

/** Whether this is the long run, which keeps its figures. */
export const long = process.env['KYMO_FAULTS'] === 'long'

/** A number of the environment, or what stands in for it. */
export const parameter = (name: string, usual: number): number => Number(process.env[name] ?? usual)

/** Prints the lines; in the long run they replace the section of that title. */
export function tell(title: string, lines: readonly string[]): void {
  console.log([title, ...lines].join('\n'))
  if (!long) return
  const before = existsSync(page) ? readFileSync(page, 'utf8') : head
  const now = new Date().toISOString()
  const where = `${availableParallelism()} cores, Node ${process.version}`
  const section = `## ${title}\n\n${now.slice(0, 10)} ${now.slice(11, 16)} UTC, ${where}.\n\n${lines.join('\n')}\n`
  const sections = before.split(/^(?=## )/m)
  const at = sections.findIndex(one => one.startsWith(`## ${title}\n`))
  if (at < 0) sections.push(section)
  else sections[at] = `${section}\n`
  writeFileSync(page, `${sections.map(one => one.trim()).join('\n\n')}\n`)
}

/** A table of Markdown. */
export function table(titles: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`
  return [line(titles), `|${'---|'.repeat(titles.length)}`, ...rows.map(line)]
}
