/** The layout as a test: which folder may import which, what files are called, and that no signal has code of its own. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')

const ranks: Record<string, number> = {
  proto: 0,
  core: 1,
  backends: 2,
  net: 2,
  telemetry: 2,
  receivers: 3,
  processors: 3,
  exporters: 3,
  connectors: 3,
  extensions: 3,
  config: 3,
  plan: 4,
  pipelines: 5,
  'components.ts': 6,
  service: 7,
  cli: 8,
}
const kinds = ['receivers', 'processors', 'exporters', 'connectors', 'extensions']

/** Packages that are part of the contract, and where each may be imported; all others stand behind one file. */
const widespread: Record<string, readonly string[]> = {
  zod: ['core', 'net', 'telemetry', 'config', 'service', ...kinds],
  rxjs: ['core', 'pipelines', 'processors', 'connectors'],
}

interface Source {
  readonly path: string
  readonly text: string
}

function list(folder: string): Source[] {
  // A folder without files is not in a checkout.
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.ts'))
    .map(entry => join(entry.parentPath, entry.name).slice(root.length + 1))
    .map(path => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

const sources = [
  ...Object.keys(ranks)
    .filter(name => !name.endsWith('.ts'))
    .flatMap(list),
  { path: 'components.ts', text: readFileSync(join(root, 'components.ts'), 'utf8') },
]

const topOf = (path: string) => path.split('/')[0]
const isComponent = (source: Source) =>
  /\bdefine(?:Receiver|Processor|Exporter|Connector|Extension)[(<]/.test(source.text)
/** The component a file is part of: its folder or its own name; undefined for what a kind shares. */
function componentOf(path: string): string | undefined {
  const [kind, first, second] = path.split('/')
  if (!kinds.includes(kind)) return undefined
  if (second !== undefined) return `${kind}/${first}`
  return components.has(path) ? path.replace(/\.ts$/, '') : undefined
}
const components = new Set(sources.filter(isComponent).map(source => source.path))

function imports(source: Source): string[] {
  const found = source.text.matchAll(/(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s*'([^']+)'|import\('([^']+)'\)/g)
  return [...found].map(match => match[1] ?? match[2])
}

function relativeImports(source: Source): string[] {
  return imports(source)
    .filter(name => name.startsWith('.') && !name.endsWith('/package.json'))
    .map(name => normalize(join(dirname(source.path), name)))
}

test('an import points to a layer below, or stays in its folder', () => {
  const wrong: string[] = []
  for (const source of sources) {
    for (const target of relativeImports(source)) {
      const from = topOf(source.path)
      const to = topOf(target)
      const legal = from === to || (ranks[to] ?? 99) < ranks[from]
      if (!legal) wrong.push(`${source.path} imports ${target}`)
    }
  }
  expect(wrong).toEqual([])
})

/** Where types still know each other in circles: each is to go, none is to come. */
const knots = ['core', 'exporters/prometheus', 'exporters/prometheus_remote_write', 'pipelines/flow']

test('within a folder, too, imports lead one way, also those of types', () => {
  const below = new Map(sources.map(source => [source.path, relativeImports(source)]))
  const done = new Set<string>()
  const wrong: string[] = []
  const visit = (path: string, way: readonly string[]): void => {
    const at = way.indexOf(path)
    if (at >= 0) wrong.push([...way.slice(at), path].join(' -> '))
    if (at >= 0 || done.has(path)) return
    for (const next of below.get(path) ?? []) visit(next, [...way, path])
    done.add(path)
  }
  for (const { path } of sources) if (!knots.includes(dirname(path))) visit(path, [])
  expect(wrong.filter(circle => !knots.includes(dirname(circle.split(' -> ')[0])))).toEqual([])
})

test('no component imports another one', () => {
  const wrong: string[] = []
  for (const source of sources) {
    const mine = componentOf(source.path)
    if (!kinds.includes(topOf(source.path))) continue
    for (const target of relativeImports(source)) {
      const theirs = componentOf(target)
      if (theirs !== undefined && theirs !== mine) wrong.push(`${source.path} imports ${target}`)
    }
  }
  expect(wrong).toEqual([])
})

/** Files of components that read the time or set timers themselves, and why. */
const ownTime: Record<string, string> = {
  'extensions/file_storage/clock.ts': 'the clock of the storage, which tests replace',
  'extensions/file_storage/inspect.ts': 'asked by commands, where no component runs',
  'extensions/file_storage/lock.ts': 'waits for another process, before there is a storage',
  'extensions/file_storage/jobs.ts': 'writes once what one turn of the event loop brought',
}

test('components are told the time: they read no clock and set no timer themselves', () => {
  const time =
    /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bhrtime\b|\bset(?:Timeout|Interval|Immediate)\b|\btimers\/promises\b|\bAbortSignal\.timeout\b/
  const found = sources
    .filter(({ path }) => [...kinds, 'backends'].includes(topOf(path)))
    .filter(({ text }) => time.test(text))
    .map(({ path }) => path)
  expect(found.toSorted()).toEqual(Object.keys(ownTime).toSorted())
})

test('every relative import names the file with its extension', () => {
  const wrong = sources.flatMap(source =>
    imports(source)
      .filter(name => name.startsWith('.') && !name.endsWith('.ts') && !name.endsWith('.json'))
      .map(name => `${source.path} imports ${name}`),
  )
  expect(wrong).toEqual([])
})

test('each package stands behind one file of ours', () => {
  const users = new Map<string, string[]>()
  for (const source of sources) {
    for (const name of new Set(imports(source))) {
      if (name.startsWith('.') || name.startsWith('node:')) continue
      const scoped = name.startsWith('@')
      const bare = name
        .split('/')
        .slice(0, scoped ? 2 : 1)
        .join('/')
      users.set(bare, [...new Set([...(users.get(bare) ?? []), source.path])])
    }
  }
  const wrong: string[] = []
  for (const [name, paths] of users) {
    const folders = widespread[name]
    if (folders !== undefined) {
      for (const path of paths) if (!folders.includes(topOf(path))) wrong.push(`${name} in ${path}`)
    } else if (paths.length > 1) wrong.push(`${name} in ${paths.join(', ')}`)
  }
  expect(wrong).toEqual([])
})

test('file and folder names are words: no grab-bags, no barrels', () => {
  const banned = /(?:^|\/)(?:utils?|helpers?|common|shared|misc|index|types)(?:\/|\.ts$)/
  expect(sources.map(source => source.path).filter(path => banned.test(path))).toEqual([])
})

test('only components have an underscore in their name; all others are one word or kebab-case', () => {
  const wrong = sources
    .map(source => source.path)
    .filter(path => !components.has(path) && componentOf(path) === undefined)
    .filter(path => !/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*\.ts$/.test(basename(path)))
  expect(wrong).toEqual([])
})

test('a component stands in the file that is called as its type', () => {
  const wrong: string[] = []
  for (const path of components) {
    const text = sources.find(source => source.path === path)?.text ?? ''
    const type = /\btype:\s*'([a-z0-9_]+)'/.exec(text)?.[1]
    const kind = topOf(path)
    if (path !== `${kind}/${type}.ts` && path !== `${kind}/${type}/${type}.ts`) wrong.push(`${path} declares ${type}`)
  }
  expect(wrong).toEqual([])
})

test('every component is in the list of components', () => {
  const listed = relativeImports({ path: 'components.ts', text: readFileSync(join(root, 'components.ts'), 'utf8') })
  expect([...components].filter(path => !listed.includes(path))).toEqual([])
})

test('no export is a default, and no module exports a variable that can change', () => {
  const wrong = sources.filter(source => /^export (?:default|let|var)\b/m.test(source.text)).map(source => source.path)
  expect(wrong).toEqual([])
})

test('outside proto/, no function is written once per signal', () => {
  const word = /(?:Traces?|Spans?|Metrics?|DataPoints?|Logs?|LogRecords?)(?=[A-Z0-9]|$)/g
  const families = new Map<string, Map<string, string>>()
  for (const source of sources) {
    if (topOf(source.path) === 'proto') continue
    for (const [, name] of source.text.matchAll(/\b(?:function|const)\s+([a-zA-Z]\w+)\s*(?:\(|=\s*(?:async\s*)?\()/g)) {
      const capitalised = name[0].toUpperCase() + name.slice(1)
      const words = capitalised.match(word)
      if (words === null) continue
      const rest = capitalised.replaceAll(word, '*')
      const family = families.get(rest) ?? new Map<string, string>()
      families.set(rest, family.set(words.join(), `${source.path}: ${name}`))
    }
  }
  const twins = [...families.values()].filter(family => family.size > 2).map(family => [...family.values()])
  expect(twins).toEqual([])
})

test('tests mirror the tree: each stands where its source does', () => {
  const files = new Set(sources.map(source => source.path))
  const wrong = Object.keys(ranks)
    .filter(name => !name.endsWith('.ts'))
    .flatMap(name => list(join('test', name)))
    .map(({ path }) => path)
    .filter(path => path.endsWith('.test.ts'))
    .filter(path => {
      // `a-b.test.ts` may be about one side of `a.ts`, and a test beside a folder about the whole folder.
      let stem = path.slice('test/'.length, -'.test.ts'.length)
      for (;;) {
        if (files.has(`${stem}.ts`) || [...files].some(file => file.startsWith(`${stem}/`))) return false
        // What stands in a layer below and shows only here: delivery in a whole graph, TLS of an exporter.
        if (files.has(`core/${basename(stem)}.ts`) || files.has(`net/${basename(stem)}.ts`)) return false
        const cut = Math.max(stem.lastIndexOf('-'), stem.lastIndexOf('.'))
        if (cut <= stem.lastIndexOf('/')) return true
        stem = stem.slice(0, cut)
      }
    })
  expect(wrong).toEqual([])
})
