/** The papers of the bundle: licences and the bill of materials. `npm run smoke` looks at those that were built. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import * as z from 'zod'
import { billOfMaterials, bundledPackages, noticesText } from '../scripts/bundled.ts'

const root = join(import.meta.dirname, '..')
const made: string[] = []
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true })
})

/** A project with these packages, each with these files. */
function project(packages: Readonly<Record<string, Readonly<Record<string, object | string>>>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'kymo-bundled-'))
  made.push(folder)
  for (const [at, files] of Object.entries(packages)) {
    for (const [file, content] of Object.entries(files)) {
      const path = join(folder, at, file)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
    }
  }
  return folder
}

const integrity = `sha512-${Buffer.alloc(64, 7).toString('base64')}`
const mit = (name: string, more: object = {}) => ({
  'package.json': { name, version: '1.0.0', license: 'MIT', ...more },
  LICENSE: `Copyright of ${name}\n`,
})

test('packages are found by the files that are bundled, once each, those inside of others and with a scope, too', () => {
  const folder = project({
    'node_modules/a': mit('a'),
    'node_modules/a/node_modules/b': mit('b'),
    'node_modules/@x/c': { ...mit('@x/c'), NOTICE: 'a notice' },
    'node_modules/unused': mit('unused'),
  })
  const packages = bundledPackages(folder, [
    join(folder, 'cli/main.ts'),
    join(folder, 'node_modules/a/index.js'),
    join(folder, 'node_modules/a/lib/more.js'),
    `\0${join(folder, 'node_modules/a/node_modules/b/index.js')}?commonjs`,
    join(folder, 'node_modules/@x/c/dist/index.mjs'),
  ])
  expect(packages.map(({ name, at }) => [name, at])).toEqual([
    ['@x/c', 'node_modules/@x/c'],
    ['a', 'node_modules/a'],
    ['b', 'node_modules/a/node_modules/b'],
  ])
  const text = noticesText(packages)
  for (const part of ['@x/c 1.0.0', 'Copyright of @x/c', 'a notice', 'Copyright of a', 'Copyright of b']) {
    expect(text).toContain(part)
  }
  expect(text).not.toContain('unused')
})

test.each([
  ['no licence text', { 'package.json': { name: 'a', version: '1.0.0', license: 'MIT' } }, /a: has no licence text/],
  [
    'only a notice',
    { 'package.json': { name: 'a', version: '1.0.0', license: 'MIT' }, NOTICE: 'n' },
    /a: has no licence text/,
  ],
  ['a licence that is not on the list', mit('a', { license: 'GPL-3.0-only' }), /a: licence `GPL-3.0-only` is not on/],
  ['no licence at all', mit('a', { license: undefined }), /a: licence none is not on/],
])('a package with %s fails the build', (_, files, message) => {
  const folder = project({ 'node_modules/a': files })
  expect(() => bundledPackages(folder, [join(folder, 'node_modules/a/index.js')])).toThrow(message)
})

test('a text that a package lacks can stand with ours', () => {
  const folder = project({
    'node_modules/@x/a': { 'package.json': { name: '@x/a', version: '1.0.0', license: 'MIT' } },
    'scripts/licences': { '@x+a.txt': 'found elsewhere' },
  })
  expect(bundledPackages(folder, [join(folder, 'node_modules/@x/a/index.js')])[0].texts).toEqual(['found elsewhere'])
})

/** What CycloneDX 1.6 says of the parts that are used. */
const license = z.array(z.strictObject({ license: z.strictObject({ id: z.string().min(1) }) })).min(1)
const purl = z.string().regex(/^pkg:npm\/(?:%40[a-z0-9._-]+\/)?[a-z0-9._-]+@\d[\w.+-]*$/)
const component = z.strictObject({
  type: z.literal('library'),
  'bom-ref': purl,
  group: z.string().startsWith('@').optional(),
  name: z.string().min(1),
  version: z.string().min(1),
  scope: z.literal('required'),
  hashes: z.tuple([z.strictObject({ alg: z.literal('SHA-512'), content: z.string().regex(/^[a-f0-9]{128}$/) })]),
  licenses: license,
  purl,
})
const bill = z.strictObject({
  $schema: z.literal('http://cyclonedx.org/schema/bom-1.6.schema.json'),
  bomFormat: z.literal('CycloneDX'),
  specVersion: z.literal('1.6'),
  serialNumber: z.string().regex(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
  version: z.literal(1),
  metadata: z.strictObject({
    lifecycles: z.array(z.strictObject({ phase: z.literal('build') })),
    component: z.strictObject({
      type: z.literal('application'),
      'bom-ref': purl,
      name: z.literal('kymo'),
      version: z.string(),
      description: z.string(),
      licenses: license,
      purl,
    }),
  }),
  components: z.array(component).min(1),
  dependencies: z.array(z.strictObject({ ref: purl, dependsOn: z.array(purl) })),
})

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>
}
const direct = Object.keys(manifest.dependencies)

test('the bill of materials of what is installed is what CycloneDX asks for, and the same each time', () => {
  const packages = bundledPackages(
    root,
    [...direct, 'tslib', 'avvio'].map(name => join(root, 'node_modules', name, 'x.js')),
  )
  const made = bill.parse(billOfMaterials(root, packages))
  expect(billOfMaterials(root, packages)).toEqual(made)
  expect(made.components.map(({ group, name }) => (group === undefined ? name : `${group}/${name}`))).toEqual(
    [...direct, 'tslib', 'avvio'].toSorted(),
  )
  const refs = new Set(made.dependencies.map(({ ref }) => ref))
  expect(refs.size).toBe(made.components.length + 1)
  for (const { dependsOn } of made.dependencies) for (const ref of dependsOn) expect(refs).toContain(ref)
  const [own] = made.dependencies
  expect(own.dependsOn).toHaveLength(direct.length)
  const [rxjs] = made.dependencies.filter(({ ref }) => ref.startsWith('pkg:npm/rxjs@'))
  expect(rxjs.dependsOn).toEqual([expect.stringMatching(/^pkg:npm\/tslib@/)])
})

test('a package that stands in several others is named once, with what any of them needs', () => {
  const folder = project({
    '.': {
      'package.json': { name: 'kymo', version: '1.0.0', license: 'Apache-2.0', dependencies: { b: '1' } },
      'package-lock.json': {
        packages: {
          'node_modules/a/node_modules/b': { integrity },
          'node_modules/b': { integrity },
          'node_modules/b/node_modules/c': { integrity },
        },
      },
    },
    'node_modules/a/node_modules/b': mit('b', { dependencies: { c: '1' } }),
    'node_modules/b': mit('b', { dependencies: { c: '1' } }),
    'node_modules/b/node_modules/c': mit('c'),
  })
  const places = ['a/node_modules/b', 'b', 'b/node_modules/c'].map(at => join(folder, 'node_modules', at, 'index.js'))
  const packages = bundledPackages(folder, places)
  expect(packages).toHaveLength(3)
  expect(billOfMaterials(folder, packages)).toMatchObject({
    components: [{ name: 'b' }, { name: 'c' }],
    dependencies: [
      { dependsOn: ['pkg:npm/b@1.0.0'] },
      { ref: 'pkg:npm/b@1.0.0', dependsOn: ['pkg:npm/c@1.0.0'] },
      { ref: 'pkg:npm/c@1.0.0' },
    ],
  })
  expect(noticesText(packages).match(/Copyright of b/g)).toHaveLength(1)
})

test('a package of another archive than the lock file has is told', () => {
  const folder = project({
    '.': {
      'package.json': { name: 'kymo', version: '1.0.0', license: 'Apache-2.0' },
      'package-lock.json': { packages: { 'node_modules/a': { integrity }, 'node_modules/b': {} } },
    },
    'node_modules/a': mit('a'),
    'node_modules/b': mit('b'),
  })
  const of = (name: string) => bundledPackages(folder, [join(folder, 'node_modules', name, 'index.js')])
  expect(billOfMaterials(folder, of('a'))).toMatchObject({ components: [{ name: 'a' }] })
  expect(() => billOfMaterials(folder, of('b'))).toThrow(/b: package-lock.json has no SHA-512/)
})
