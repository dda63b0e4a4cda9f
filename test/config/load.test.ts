import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ConfigErrors, loadConfig, renderErrors } from '../../config/load.ts'
import { around, errorsOf, load, toys } from './toys.ts'

const cases = fileURLToPath(new URL('../cases/config/', import.meta.url))

test('a file with more than ten different mistakes tells all of them, as a user sees it', () => {
  const render = () => {
    try {
      loadConfig({ components: toys, env: {}, sources: [`file:${cases}mistakes.yaml`] })
    } catch (error) {
      if (error instanceof ConfigErrors) return renderErrors(error.errors)
      throw error
    }
    return ''
  }
  const text = render().replaceAll(cases, '')
  expect(text).toBe(readFileSync(`${cases}mistakes.txt`, 'utf8'))
  expect(text.match(/^mistakes\.yaml:/gm)?.length).toBeGreaterThan(20)
})

test('a configuration of the Collector, in flow style, is read as it is', () => {
  const { configured, telemetry } = loadConfig({ components: toys, env: {}, sources: [`${cases}flow.yaml`] })
  expect(configured.pipelines.map(({ id }) => id)).toEqual(['traces', 'logs', 'metrics'])
  expect(configured.exporters.get('otlp')?.config).toMatchObject({ compression: 'none', tls: { insecure: true } })
  expect(configured.exporters.get('otlp')?.definition.type).toBe('otlp_grpc')
  expect(telemetry.metrics.level).toBe('none')
  expect(telemetry.logs.level).toBe('warn')
})

test('without sources the built-in configuration is read', () => {
  const { configured } = loadConfig({ components: toys, env: {}, sources: [], builtIn: around('') })
  expect(configured.pipelines).toHaveLength(1)
  expect(errorsOf('', { sources: [] })).toEqual(['no configuration given (name one with `--config FILE`)'])
})

test('--set values are laid over the built-in configuration', () => {
  const { configured } = loadConfig({
    components: toys,
    env: {},
    sources: [],
    builtIn: around(''),
    sets: ['exporters.debug.verbosity=detailed'],
  })
  expect(configured.exporters.get('debug')?.config).toMatchObject({ verbosity: 'detailed' })
})

test('a configuration is read from an environment variable', () => {
  const env = { KYMO: around('') }
  expect(loadConfig({ components: toys, env, sources: ['env:KYMO'] }).configured.pipelines).toHaveLength(1)
})

test.each([
  [
    'a file that is not there',
    'nowhere/at/all.yaml',
    'cannot read the configuration `nowhere/at/all.yaml`: there is no such file',
  ],
  ['a folder', `file:${cases}`, 'it is a directory'],
  ['a variable that is not set', 'env:NOPE', '`--config env:NOPE`: the environment variable is not set'],
  ['an unknown scheme', 'flie:x', 'the scheme `flie:` is not supported (did you mean `file:`?)'],
  [
    'an address of the web',
    'https://example.com/x',
    'not fetched over https yet (download it first, then use `file:`)',
  ],
  [
    'a list',
    'yaml:[a]',
    '1:1 expected sections (`receivers`, `processors`, `exporters`, `connectors`, `extensions`, `service`), got a list',
  ],
  ['a single value', 'yaml:a', 'got a single value'],
])('%s as a source is an error', (_, source, message) => {
  const errors = errorsOf('', { sources: [source] })
  expect(errors).toHaveLength(1)
  expect(errors[0]).toContain(message)
})

test('an empty source has no pipelines', () => {
  expect(errorsOf('')).toEqual([
    '1:1 the section `service` is missing (it needs `pipelines` with at least one pipeline)',
  ])
})

test('faults of several sources are told together, in the order of the sources', () => {
  expect(errorsOf(['a: b: c', 'x: [', 'y: 1\ny: 2'])).toHaveLength(3)
})

test('unknown sections are told with the nearest', () => {
  expect(errorsOf(around('procesors: {}\nReceivers: {}\nxyz: 1'))).toEqual([
    '4:1 unknown section `procesors` (did you mean `processors`?)',
    '5:1 unknown section `Receivers` (did you mean `receivers`?)',
    '6:1 unknown section `xyz` (sections: `receivers`, `processors`, `exporters`, `connectors`, `extensions`, `service`)',
  ])
})

test('with errors, the warnings are told too: an unset variable may be the cause', () => {
  expect(() => load(around('exporters: {otlp_http: {endpoint: "${env:BACKEND}"}, debug: }'))).toThrow(
    expect.objectContaining({
      errors: [
        expect.objectContaining({
          message: 'exporters::otlp_http::endpoint: the environment variable `BACKEND` is not set: must not be empty',
        }),
      ],
      warnings: [expect.objectContaining({ message: 'the environment variable `BACKEND` is not set: empty here' })],
    }),
  )
})

test('the document is the merged configuration, with what came from outside as its reference', () => {
  const text = around(
    'processors: {any: {a: "${env:A}", b: "$${c}", e: "${env:E:-x}", l: ["${env:A}"], s: {u: "http://u:p@h/?k=v"}}}',
  )
  expect(load([text, 'processors::any::d: 1'], { env: { A: '1' } }).document).toEqual({
    receivers: { otlp: { protocols: { grpc: null } } },
    exporters: { debug: null },
    service: { pipelines: { traces: { receivers: ['otlp'], exporters: ['debug'] } } },
    processors: {
      any: {
        a: '${env:A}',
        b: '${c}',
        d: 1,
        e: 'x',
        l: ['${env:A}'],
        s: { u: 'http://[REDACTED]@h/?k=[REDACTED]' },
      },
    },
  })
})

test('a file that starts with a byte order mark, or ends lines as Windows does, is read', () => {
  const env = { KYMO: around('').replaceAll('\n', '\r\n') }
  expect(loadConfig({ components: toys, env, sources: ['env:KYMO'] }).configured.pipelines).toHaveLength(1)
  expect(loadConfig({ components: toys, env, sources: [`${cases}bom.yaml`] }).configured.pipelines).toHaveLength(1)
})

test('a configuration with any piece cut out or doubled loads or is told what is wrong, with places', () => {
  const texts = ['flow.yaml', 'mistakes.yaml'].map(name => readFileSync(cases + name, 'utf8'))
  const piece = fc.tuple(fc.nat(), fc.nat({ max: 60 }), fc.boolean(), fc.constantFrom(...texts))
  fc.assert(
    fc.property(piece, ([at, length, doubled, text]) => {
      const start = at % text.length
      const changed = text.slice(0, doubled ? start + length : start) + text.slice(doubled ? start : start + length)
      try {
        load([changed])
      } catch (error) {
        if (!(error instanceof ConfigErrors)) throw error
        expect(error.errors.length).toBeGreaterThan(0)
        expect(renderErrors(error.errors)).not.toMatch(/undefined|\[object/)
        for (const { position } of error.errors) {
          expect(position?.line).toBeLessThanOrEqual(changed.split('\n').length)
          expect(position?.column).toBeGreaterThan(0)
        }
      }
    }),
    { numRuns: 300 },
  )
})
