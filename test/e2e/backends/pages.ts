/** What the pages of docs/ show, so that it can be tried. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The blocks of a language on the page about destinations. */
export function blocksOf(language: string): string[] {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/destinations.md'), 'utf8')
  return [...page.matchAll(/```(\w+)\n(.*?)```/gs)].filter(([, name]) => name === language).map(([, , text]) => text)
}
