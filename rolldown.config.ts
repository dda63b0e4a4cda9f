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

export default defineConfig({
  input: 'cli/main.ts',
  platform: 'node',
  plugins: [lean],
  output: {
    file: 'dist/kymo.mjs',
    format: 'esm',
    // Names and lines stay, for the stacks of faults.
    minify: { compress: true, mangle: false, codegen: { removeWhitespace: false } },
    codeSplitting: false,
    sourcemap: false,
  },
})
