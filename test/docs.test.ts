/** The pages that are made from the code are what the code says, and links lead somewhere. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { codes } from '../core/errors.ts'
import { pages } from '../scripts/docs.ts'
import { ownFamilies } from '../telemetry/families.ts'

const root = join(import.meta.dirname, '..')

test.each([...pages])('%s is up to date; `npm run docs` writes it', (path, text) => {
  expect(readFileSync(join(root, path), 'utf8')).toBe(text)
})

test('every code stands in the page of errors', () => {
  const text = pages.get('docs/errors.md')
  for (const code of Object.keys(codes)) expect(text).toContain(`\`${code}\``)
})

test('metric names are unique, of legal letters, and their help is a sentence', () => {
  const names = ownFamilies.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
  for (const { name, help } of ownFamilies) {
    expect(name).toMatch(/^(?:otelcol|kymo)_[a-z_]+$/)
    expect(help).toMatch(/^[A-Z0-9].*\.$/)
  }
})

test('relative links of the documents lead to files', () => {
  const broken: string[] = []
  for (const page of globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: root })) {
    for (const [, target] of readFileSync(join(root, page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g))
      if (!existsSync(join(root, dirname(page), target))) broken.push(`${page}: ${target}`)
  }
  expect(broken).toEqual([])
})
