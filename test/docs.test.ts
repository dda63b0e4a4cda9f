/** The pages that are made from the code are what the code says, and links lead somewhere. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { components } from './support/components.ts'
import { codes } from '../core/errors.ts'
import { optionsOf } from '../config/options.ts'
import { pathOf } from '../scripts/component-pages.ts'
import { pages } from '../scripts/docs.ts'
import { ownFamilies } from '../telemetry/families.ts'

const root = join(import.meta.dirname, '..')

test.each([...pages])('%s is up to date; `npm run docs` writes it', (path, text) => {
  // The difference would be as long as the page.
  const current = existsSync(join(root, path)) && readFileSync(join(root, path), 'utf8') === text
  expect(current, `${path} is not what the code says: run \`npm run docs\``).toBe(true)
})

test('no page of a component is left over', () => {
  expect(globSync('docs/components/**/*.md', { cwd: root }).filter(path => !pages.has(path))).toEqual([])
})

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: boolean | JsonSchema
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly allOf?: readonly JsonSchema[]
}

/** Names of all keys, however deep. */
function keysOf({ properties = {}, additionalProperties, items, anyOf = [], allOf = [] }: JsonSchema): string[] {
  const values = typeof additionalProperties === 'object' ? [additionalProperties] : []
  const inner = [...Object.values(properties), ...values, ...(items ? [items] : []), ...anyOf, ...allOf]
  return [...Object.keys(properties), ...inner.flatMap(keysOf)]
}

test.each(components.map(one => [`${one.kind} ${one.type}`, one] as const))(
  'the page of %s has every option, with a type and a description',
  (_, definition) => {
    const schema = z.toJSONSchema(definition.config, { io: 'input', unrepresentable: 'any', cycles: 'ref' })
    const options = optionsOf(definition.config)
    const listed = options.map(({ name }) => `.${name.replace(/\[\]$/, '')}`)
    // Keys may have dots of their own.
    expect(keysOf(schema as JsonSchema).filter(key => !listed.some(name => name.endsWith(`.${key}`)))).toEqual([])
    for (const { name, type, description } of options) {
      expect(type, name).not.toMatch(/^$|undefined|transform|pipe|custom/)
      expect(description, name).toMatch(/\S/)
      expect(pages.get(pathOf(definition))).toContain(`| \`${name}\` |`)
    }
  },
)

test('secrets are told to be secrets', () => {
  const key = components.flatMap(one => optionsOf(one.config)).filter(({ name }) => name.endsWith('tls.key_pem'))
  expect(key.length).toBeGreaterThan(0)
  for (const { type } of key) expect(type).toBe('secret')
})

test('defaults are written as users write them', () => {
  const batch = components.find(({ kind, type }) => kind === 'processor' && type === 'batch')
  const defaults = Object.fromEntries(optionsOf(batch?.config ?? z.strictObject({})).map(one => [one.name, one.preset]))
  expect(defaults).toEqual({
    send_batch_size: 8192,
    timeout: '200ms',
    send_batch_max_size: 0,
    metadata_keys: [],
    metadata_cardinality_limit: 1000,
  })
})

test('the table of components in the README is the list of components', () => {
  const table = /## Components\n([\s\S]*?)\n## /.exec(readFileSync(join(root, 'README.md'), 'utf8'))?.[1] ?? ''
  let kind = ''
  const rows = [...table.matchAll(/^\| (\w*) ?\| `(\w+)`(?: \(([^)]*)\))? \|/gm)].map(
    ([, first, type, aliases = '']) => {
      if (first !== '') kind = first
      return `${kind} ${[type, ...aliases.matchAll(/\w+/g)].join(' ')}`
    },
  )
  expect(rows.toSorted()).toEqual(
    components.map(({ kind, type, aliases = [] }) => `${kind} ${[type, ...aliases].join(' ')}`).toSorted(),
  )
})

test.each([
  ['the component', 'test/writing/require_attributes.ts', 'processors'],
  ['its test', 'test/writing/require_attributes.test.ts', undefined],
  ['the filter', 'test/toys/filter.ts', 'processors'],
  ['the rewriting', 'test/toys/rewriting.ts', 'processors'],
  ['the tail sampler', 'test/toys/tail-sampler.ts', 'processors'],
  ['what it asks of spans', 'test/toys/spans.ts', 'processors'],
  ['the deduplication', 'test/toys/dedup.ts', 'processors'],
  ['the exporter', 'test/writing/post_json.ts', 'exporters'],
  ['the source', 'test/toys/log-source.ts', 'receivers'],
] as const)('%s in the page about writing one is what is compiled and run here', (_, path, folder) => {
  // The page has it where it would stand; here it stands where it is in nobody's way.
  const text = readFileSync(join(root, path), 'utf8')
  const there =
    folder === undefined
      ? text.replaceAll("'./require", "'../../processors/require")
      : text.replaceAll(`'../../${folder}/`, "'./").replaceAll("'../../", "'../")
  expect(readFileSync(join(root, 'docs/writing-a-component.md'), 'utf8')).toContain(`\`\`\`ts\n${there}\`\`\``)
})

test('all code of the page about writing one is held by the test above', () => {
  const page = readFileSync(join(root, 'docs/writing-a-component.md'), 'utf8')
  expect(page.match(/^```ts$/gm)).toHaveLength(9)
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

test('links to headings lead to headings', () => {
  const slug = (heading: string) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
  const headings = (path: string) =>
    [...readFileSync(join(root, path), 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading]) => slug(heading))
  const broken: string[] = []
  for (const page of globSync(['*.md', 'docs/**/*.md'], { cwd: root })) {
    for (const [, target, anchor] of readFileSync(join(root, page), 'utf8').matchAll(
      /\]\((?!https?:)([^)#]*)#([^)]+)\)/g,
    )) {
      const path = target === '' ? page : join(dirname(page), target)
      if (!headings(path).includes(anchor)) broken.push(`${page}: ${target}#${anchor}`)
    }
  }
  expect(broken).toEqual([])
})

test('relative links of the documents lead to files', () => {
  const broken: string[] = []
  for (const page of globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: root })) {
    for (const [, target] of readFileSync(join(root, page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g))
      if (!existsSync(join(root, dirname(page), target))) broken.push(`${page}: ${target}`)
  }
  expect(broken).toEqual([])
})
