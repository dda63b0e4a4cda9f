import { defineConfig, type Plugin } from 'rolldown'

/**
 * What fastify loads for JSON schemas, which Kymo has none of, and for tests: a quarter of the bundle, never used. The
 * functions are made and not called.
 */
const unused = ['@fastify/ajv-compiler', '@fastify/fast-json-stringify-compiler', 'light-my-request']

/**
 * Importing all of `node:http` by ESM reads its `WebSocket`, which loads Node's own undici: 14 MB of memory for nothing.
 * So only what is asked for is read.
 */
const wholesale = 'node:http'

/** WebAssembly that few need: compiled at its first use. */
const compiled = '@platformatic/wasm-utils/bundled'
const compiledExports = ['crc32c', 'snappyCompress']

const lean: Plugin = {
  name: 'lean',
  resolveId(id, importer) {
    if (unused.includes(id)) return '\0unused'
    return (id === wholesale || id === compiled) && importer?.endsWith('.ts') ? `\0${id}` : undefined
  },
  load(id) {
    switch (id) {
      case '\0unused':
        return 'module.exports = () => () => { throw new Error("left out of the bundle") }'
      case `\0${compiled}`:
        return compiledExports
          .map(name => `exports.${name} = (...args) => require('${compiled}').${name}(...args)`)
          .join('\n')
      case `\0${wholesale}`: {
        const names = [
          'Agent',
          'createServer',
          'get',
          'IncomingMessage',
          'METHODS',
          'request',
          'Server',
          'ServerResponse',
        ]
        return `export const { ${names.join(', ')}, STATUS_CODES } = process.getBuiltinModule('${wholesale}')`
      }
      default:
        return undefined
    }
  },
}

/**
 * V8 keeps the source: one byte a character when all of them are ASCII, else two. In strings, templates and patterns an
 * escape means the same.
 */
const ascii: Plugin = {
  name: 'ascii',
  generateBundle(_options, bundle) {
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== 'chunk') continue
      chunk.code = chunk.code.replace(/[^\0-\x7f]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
    }
  },
}

export default defineConfig({
  input: 'cli/main.ts',
  platform: 'node',
  plugins: [lean, ascii],
  output: {
    file: 'dist/kymo.mjs',
    format: 'esm',
    // Names and lines stay, for the stacks of faults.
    minify: { compress: true, mangle: false, codegen: { removeWhitespace: false } },
    comments: false,
    codeSplitting: false,
    sourcemap: false,
  },
})
