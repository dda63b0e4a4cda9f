/**
 * The packages in the bundle: whose licences ship beside it (`THIRD_PARTY_NOTICES.txt`), and the bill of materials
 * (`kymo.cdx.json`, CycloneDX 1.6). Made at the build, of what is in the bundle and of nothing else.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** A package as it was bundled. */
export interface Bundled {
  readonly name: string
  readonly version: string
  /** SPDX identifier. */
  readonly license: string
  /** Complete texts: the licence, and a notice where there is one. */
  readonly texts: readonly string[]
  /** Where it stands, as the lock file names it. */
  readonly at: string
  readonly dependencies: readonly string[]
}

/** Licences that may be in the bundle: each asks for no more than its text. */
const allowed = new Set(['0BSD', 'Apache-2.0', 'BlueOak-1.0.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT'])

const inPackage = /^(.*)(node_modules\/(?:@[^/]+\/)?[^/]+)\//
const textName = /^(?:licen[cs]e|copying|notice)/i

interface Manifest {
  readonly name?: string
  readonly version?: string
  readonly license?: unknown
  readonly dependencies?: Readonly<Record<string, string>>
}

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'))

/** The package at a place; throws where its licence is missing or not allowed, so that the build fails. */
function bundledAt(root: string, at: string): Bundled {
  const folder = join(root, at)
  const { name = at, version = '', license, dependencies = {} } = readJson(join(folder, 'package.json')) as Manifest
  if (typeof license !== 'string' || !allowed.has(license)) {
    const found = typeof license === 'string' ? `\`${license}\`` : 'none'
    throw new Error(`${name}: licence ${found} is not on the list in scripts/bundled.ts; look at it before it ships`)
  }
  const files = readdirSync(folder)
    .filter(file => textName.test(file))
    .toSorted()
  const has = files.some(file => /^(?:licen[cs]e|copying)/i.test(file))
  const own = join(root, 'scripts/licences', `${name.replace('/', '+')}.txt`)
  if (!has && !existsSync(own)) {
    throw new Error(`${name}: has no licence text, which has to ship with the bundle; find it, and put it into ${own}`)
  }
  const paths = [...(has ? [] : [own]), ...files.map(file => join(folder, file))]
  const texts = paths.map(path => readFileSync(path, 'utf8').trim())
  return { name, version, license, texts, at, dependencies: Object.keys(dependencies) }
}

/** The packages that files at these paths are of, by name. @throws Error where one must not ship */
export function bundledPackages(root: string, paths: Iterable<string>): Bundled[] {
  const places = new Set<string>()
  for (const path of paths) {
    // What a plugin made has a zero in front.
    const [, before = '', folder] = inPackage.exec(path.replace(/^\0/, '')) ?? []
    if (folder !== undefined) places.add(`${before.slice(root.length + 1)}${folder}`)
  }
  return Array.from(places, at => bundledAt(root, at)).toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** Each package and version once: npm puts the same one into several that need it. */
function distinct(packages: readonly Bundled[]): readonly Bundled[] {
  return [...new Map(packages.toReversed().map(one => [purlOf(one), one])).values()].toReversed()
}

/** The text that ships beside the bundle. */
export function noticesText(packages: readonly Bundled[]): string {
  const rule = '-'.repeat(78)
  const each = distinct(packages)
  const list = each.map(({ name, version, license }) => `  ${name} ${version} (${license})`).join('\n')
  const texts = each.map(
    one => `${rule}\n${one.name} ${one.version}\n${one.license}\n${rule}\n\n${one.texts.join('\n\n')}\n`,
  )
  return `Kymo contains parts of these packages, under the licences that follow.\n\n${list}\n\n${texts.join('\n')}`
}

interface Lock {
  readonly packages: Readonly<Record<string, { readonly integrity?: string }>>
}

const purlOf = ({ name, version }: Pick<Bundled, 'name' | 'version'>): string =>
  `pkg:npm/${name.replace(/^@/, '%40')}@${version}`

/** SHA-512 of the package as the registry has it, from the lock file. */
function hashesOf({ packages }: Lock, { name, at }: Bundled) {
  const integrity = packages[at]?.integrity ?? ''
  const digest = /^sha512-(.+)$/.exec(integrity)?.[1]
  if (digest === undefined) throw new Error(`${name}: package-lock.json has no SHA-512 of ${at}`)
  return [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }]
}

function componentOf(lock: Lock, one: Bundled) {
  const [scope, rest] = one.name.startsWith('@') ? one.name.split('/') : [undefined, one.name]
  return {
    type: 'library',
    'bom-ref': purlOf(one),
    ...(scope === undefined ? {} : { group: scope }),
    name: rest,
    version: one.version,
    scope: 'required',
    hashes: hashesOf(lock, one),
    licenses: [{ license: { id: one.license } }],
    purl: purlOf(one),
  }
}

/** The package that a name means to one at a place: the nearest one up the tree that is in the bundle. */
function resolved(packages: ReadonlyMap<string, Bundled>, from: string, name: string): Bundled | undefined {
  for (let up = from; ; up = dirname(up)) {
    const found = packages.get(join(up, 'node_modules', name).replace(/^\.\//, ''))
    if (found !== undefined || up === '.' || up === '/') return found
  }
}

/** The bill of materials in CycloneDX 1.6. The same bundle has the same one. */
export function billOfMaterials(root: string, packages: readonly Bundled[]): object {
  const lock = readJson(join(root, 'package-lock.json')) as Lock
  const own = readJson(join(root, 'package.json')) as Manifest & { readonly description?: string }
  const product = { name: own.name ?? '', version: own.version ?? '' }
  const byPlace = new Map(packages.map(one => [one.at, one]))
  const needs = (at: string, names: readonly string[]) => [
    ...new Set(names.flatMap(name => resolved(byPlace, at, name) ?? []).map(purlOf)),
  ]
  const dependencies = [
    { ref: purlOf(product), dependsOn: needs('.', Object.keys(own.dependencies ?? {})) },
    ...distinct(packages).map(one => {
      const places = packages.filter(other => purlOf(other) === purlOf(one))
      return { ref: purlOf(one), dependsOn: [...new Set(places.flatMap(({ at }) => needs(at, one.dependencies)))] }
    }),
  ]
  const components = distinct(packages).map(one => componentOf(lock, one))
  const digest = createHash('sha256')
    .update(JSON.stringify([product, components]))
    .digest('hex')
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(digest)}`,
    version: 1,
    metadata: {
      lifecycles: [{ phase: 'build' }],
      component: {
        type: 'application',
        'bom-ref': purlOf(product),
        ...product,
        ...(own.description === undefined ? {} : { description: own.description }),
        licenses: [{ license: { id: own.license } }],
        purl: purlOf(product),
      },
    },
    components,
    dependencies,
  }
}

/** A UUID of the version that is made of whatever one likes. */
function uuidOf(hex: string): string {
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 3) | 8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
