/**
 * `npm run lock`: completes package-lock.json. npm leaves out the packages of other platforms that its registry does not
 * offer, and `npm ci` then refuses the whole file. What is missing is added as optional, without being fetched.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

interface Package {
  readonly version?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly [key: string]: unknown
}
type Packages = Record<string, Package>

const systems = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32']
const processors = ['arm', 'arm64', 'ia32', 'ppc64', 'riscv64', 's390x', 'wasm32', 'x64']

/** Where a package looks for another one: in itself, beside itself, further out. */
function placesOf(at: string, name: string): string[] {
  const places = [`${at}/node_modules/${name}`]
  for (let up = at; up.includes('node_modules/');) {
    up = up.slice(0, up.lastIndexOf('node_modules/'))
    places.push(`${up}node_modules/${name}`)
  }
  return places
}

/** The entry of a package of one platform, whose name says which; undefined when it does not. */
function entryFor(name: string, version: string): Package | undefined {
  const words = name.split(/[/-]/)
  const cpu = processors.find(processor => words.includes(processor))
  const os = systems.find(system => words.includes(system))
  if (cpu === undefined) return undefined
  const musl = words.some(word => word.startsWith('musl'))
  const libc = musl ? ['musl'] : os === 'linux' && words.includes('gnu') ? ['glibc'] : undefined
  return { version, cpu: [cpu], dev: true, ...(libc && { libc }), optional: true, ...(os && { os: [os] }) }
}

/** The packages that are named as optional and stand nowhere, by the place where they belong. */
export function missingOf(packages: Packages): Packages {
  const missing: Packages = {}
  for (const [at, { optionalDependencies = {} }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const places = placesOf(at, name)
      const [nearest = `node_modules/${name}`] = places
      const found = places.map(place => packages[place] ?? missing[place]).find(one => one !== undefined)
      const entry = entryFor(name, version)
      if (found?.version === version || entry === undefined) continue
      missing[found === undefined ? `node_modules/${name}` : nearest] = entry
    }
  }
  return missing
}

/** The packages of the lock file. */
export function readLock(): { packages: Packages } {
  return JSON.parse(readFileSync(path, 'utf8')) as { packages: Packages }
}

const path = join(import.meta.dirname, '../package-lock.json')

if (import.meta.main) {
  const lock = readLock()
  const missing = missingOf(lock.packages)
  const { '': root, ...rest } = { ...lock.packages, ...missing }
  const sorted = Object.entries(rest).sort(([a], [b]) => a.localeCompare(b, 'en'))
  writeFileSync(
    path,
    `${JSON.stringify({ ...lock, packages: { '': root, ...Object.fromEntries(sorted) } }, null, 2)}\n`,
  )
  process.stdout.write(`${Object.keys(missing).length} entries added\n`)
}
