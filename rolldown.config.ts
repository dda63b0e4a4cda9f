import { chmodSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build, defineConfig, type Plugin } from 'rolldown'
import { billOfMaterials, bundledPackages, noticesText } from './scripts/bundled.ts'

/**
 * What packages ask for and Kymo never uses: half a megabyte of text, which V8 keeps and reads at every start. By the
 * package that asks; what stands in for them throws when it is used.
 */
const unused: Record<string, readonly string[]> = {
  // For JSON schemas, for tests, and for the versions of plugins. The first two are made, and not called.
  // Servers it is not asked to make stand on the last two.
  fastify: [
    '@fastify/ajv-compiler',
    '@fastify/fast-json-stringify-compiler',
    'light-my-request',
    'semver',
    'node:http2',
    'node:https',
  ],
  // Commands that are programs of their own.
  commander: ['node:child_process'],
  // Transports in threads.
  pino: ['thread-stream'],
  // Kymo has counters and gauges of one process, which are fetched.
  '@prometheus-io/client': [
    './lib/cluster',
    './lib/worker',
    './lib/pushgateway',
    './lib/defaultMetrics',
    './lib/histogram',
    './lib/summary',
  ],
  // What its developers look into it with.
  ink: ['./devtools.js'],
  // HTTP/2, which is off, and forms as bodies.
  undici: ['./client-h2.js', '../web/fetch/body.js', '../web/fetch/formdata', '../web/webidl'],
}

/** WebAssembly that few need: compiled at its first use. */
const compiled = '@platformatic/wasm-utils/bundled'
const compiledExports = ['crc32c', 'snappyCompress']

/** The package that the file at `path` is part of. */
function packageOf(path: string): string | undefined {
  return /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]
}

/**
 * Modules of Node that are read when the module that imports them runs: at the top of the bundle they would be read whenever it
 * starts. They take 1 to 5 MiB each.
 */
const late = ['child_process', 'crypto', 'dns/promises', 'http', 'https', 'tls', 'worker_threads', 'zlib']
const lateMark = '\0late '

const lateModules: Plugin = {
  name: 'late',
  resolveId(id, _importer, { kind }) {
    if (kind !== 'import-statement' || !late.includes(id.replace(/^node:/, ''))) return undefined
    return { id: `${lateMark}${id}`, moduleSideEffects: false }
  },
  load(id) {
    if (!id.startsWith(lateMark)) return undefined
    const name = id.slice(lateMark.length)
    const properties = Object.entries(Object.getOwnPropertyDescriptors(process.getBuiltinModule(name)))
    // What is behind a getter may load more.
    const names = properties.flatMap(([key, { value }]) =>
      value !== undefined && /^[a-z]\w*$/i.test(key) ? [key] : [],
    )
    const exported = names
      .filter(key => key !== 'default')
      .map(key => `export const ${key} = /* @__PURE__ */ from('${key}');`)
    return `const all = process.getBuiltinModule('${name}'); const from = key => all[key];\nexport default all;\n${exported.join('\n')}`
  },
}

const lean: Plugin = {
  name: 'lean',
  resolveId(id, importer = '') {
    if (unused[packageOf(importer) ?? '']?.includes(id)) return '\0unused'
    return id === compiled && importer.endsWith('.ts') ? `\0${id}` : undefined
  },
  load(id) {
    switch (id) {
      case '\0unused':
        return `
          const leftOut = () => { throw new Error('left out of the bundle, see rolldown.config.ts') }
          module.exports = new Proxy(() => leftOut, { get: () => leftOut })`
      case `\0${compiled}`:
        return compiledExports
          .map(name => `exports.${name} = (...args) => require('${compiled}').${name}(...args)`)
          .join('\n')
      default:
        return undefined
    }
  },
}

/** Threads start from an address. One file has no second one, so it is the text of the thread itself. */
const threads: Plugin = {
  name: 'threads',
  async transform(code, id) {
    const address = /new Worker\(new URL\('(\.[^']+)', import\.meta\.url\)/.exec(code)?.[1]
    if (address === undefined) return undefined
    const { output } = await build({ input: join(dirname(id), address), platform: 'node', output: text, write: false })
    const [{ code: thread }] = output
    return code.replace(`new URL('${address}', import.meta.url)`, () => {
      return `new URL(${JSON.stringify(`data:text/javascript,${encodeURIComponent(ascii(thread))}`)})`
    })
  },
}

/** The terminal view and what it stands on: a file of its own, since a file is read as a whole whatever of it runs. */
const apart = { source: './screen.ts', file: 'kymo-top.mjs' }

const parted: Plugin = {
  name: 'parted',
  resolveId(id, importer = '') {
    return id === apart.source && importer.endsWith('/cli/top/top.ts')
      ? { id: `./${apart.file}`, external: true }
      : undefined
  },
}

/** Writes that file into `folder`; gives the modules in it. */
async function writeApart(folder: string): Promise<readonly string[]> {
  const { output } = await build({
    input: join(import.meta.dirname, 'cli/top', apart.source),
    platform: 'node',
    plugins: [lean],
    // Without what developers of such views are told, and the tools for them.
    transform: { define: { 'process.env.NODE_ENV': '"production"', 'process.env.DEV': '"false"' } },
    output: { ...text, file: join(folder, apart.file) },
  })
  return output.flatMap(chunk => (chunk.type === 'chunk' ? chunk.moduleIds : []))
}

/** What V8 makes of the finished text. */
const frugal: Plugin = {
  name: 'frugal',
  generateBundle(_options, bundle) {
    for (const chunk of Object.values(bundle))
      if (chunk.type === 'chunk') chunk.code = named(lazy(direct(ascii(chunk.code))))
  },
}

/**
 * V8 keeps the source: one byte a character when all of them are ASCII, else two. In strings, templates and patterns an
 * escape means the same.
 */
function ascii(code: string): string {
  return code.replace(/[^\0-\x7f]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/**
 * Importing a module of Node by ESM reads all of its exports, and some load more: Node's own undici behind the `WebSocket` of
 * `node:http` alone is 14 MB. So only what is asked for is read.
 */
function direct(code: string): string {
  const statement = /^import (?:\* as )?([\w$]+)?(?:, )?(?:\{ (.*) \})? ?from "(node:[\w/]+)";$/gm
  const declaration = (_: string, whole: string | undefined, names: string | undefined, module: string) =>
    [whole, names && `{ ${names.replaceAll(' as ', ': ')} }`]
      .filter(target => target !== undefined)
      .map(target => `const ${target} = process.getBuiltinModule("${module}");`)
      .join(' ')
  return code.replace(/^(?:#!.*\n)?(?:import .*\n)*/, imports => imports.replace(statement, declaration))
}

/**
 * Modules are wrapped in functions that run when they are first needed. In an ES module V8 skims the body of a `function`,
 * but reads and keeps all of an arrow function, and compiles at once what stands alone in parentheses: 8 MiB at the start.
 */
function lazy(code: string): string {
  const wrapper = /(__(?:commonJS|esm)Min\()(\(?)(async )?\(([^()]*)\) => \{/g
  const result = code.replace(wrapper, (_, call: string, parenthesis: string, async = '', parameters: string) => {
    const start = parenthesis === '' ? '' : '(0, '
    return `${call}${start}${async}function(${parameters}) {`
  })
  if (result === code || /__(?:commonJS|esm)Min\(\(*(?:async )?\([^()]*\) =>/.test(result)) {
    throw new Error('modules are wrapped in another way than `lazy` knows; look at the bundle and change it')
  }
  return result
}

/** Names and lines stay, for the stacks of faults. */
const text = {
  format: 'esm',
  minify: { compress: true, mangle: false, codegen: { removeWhitespace: false } },
  comments: false,
  codeSplitting: false,
  sourcemap: false,
} as const

/** Says behind the first line where the licences are, and which Node it needs: others would end somewhere inside. */
function named(code: string): string {
  const note = '/*! Kymo, Apache-2.0. It contains other packages: their licences are in THIRD_PARTY_NOTICES.txt. */\n'
  const check = `if (Number.parseInt(process.versions.node) < 24) {
  console.error("kymo needs Node 24.6 or later, and this is " + process.version);
  process.exit(1);
}
`
  return code.replace(/^(?:#!.*\n)?/, first => first + note + check)
}

/** What ships beside the bundle: the licences of what is in it, which it has no comments for, and the bill of materials. */
const paper: Plugin = {
  name: 'paper',
  async writeBundle({ file = '' }, bundle) {
    const modules = Object.values(bundle).flatMap(chunk => (chunk.type === 'chunk' ? chunk.moduleIds : []))
    const all = [...modules, ...(await writeApart(dirname(file)))]
    const packages = bundledPackages(import.meta.dirname, all)
    const beside = (name: string, text: string) => writeFileSync(join(dirname(file), name), text, { mode: 0o644 })
    beside('THIRD_PARTY_NOTICES.txt', noticesText(packages))
    beside('kymo.cdx.json', `${JSON.stringify(billOfMaterials(import.meta.dirname, packages), null, 2)}\n`)
    chmodSync(file, 0o755)
  },
}

export default defineConfig({
  input: 'cli/main.ts',
  platform: 'node',
  plugins: [parted, lean, lateModules, threads, frugal, paper],
  // Its module for Node is CommonJS, of which nothing can be left out.
  resolve: { alias: { rxjs: join(import.meta.dirname, 'node_modules/rxjs/dist/esm/index.js') } },
  // Without undici's second HTTP parser, an experiment.
  transform: { define: { esbuildDetection: 'true' } },
  output: { file: 'dist/kymo.mjs', ...text },
})
