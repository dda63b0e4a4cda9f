/** Values that came from variables and files: what is told of them, and when something of them is missing. */
import { describe, expect, test } from 'vitest'
import { effectiveOf } from '../../config/effective.ts'
import { differencesOf } from '../../config/diff.ts'
import { ConfigErrors, renderErrors } from '../../config/load.ts'
import { maskUrl } from '../../config/masking.ts'
import { mayReveal } from '../../config/shown.ts'
import { Concealed } from '../../core/concealed.ts'
import { rendered } from '../../cli/print-config.ts'
import { around, errorsOf, load, warningsOf } from './toys.ts'

const files = (text: string) => ({ readFile: () => text })

describe('an error about a value from outside tells its reference', () => {
  test.each([
    [
      'a text where a number is due',
      'processors: {batch: {send_batch_size: "${env:A}"}}',
      'expected a whole number, got `${env:A}`',
    ],
    [
      'a text that is no duration',
      'processors: {batch: {timeout: "${env:A}"}}',
      'what `${env:A}` stands for is no duration',
    ],
    [
      'the first line of a file',
      'processors: {batch: {timeout: "${file:/pw}"}}',
      'what `${file:/pw}` stands for is no duration',
    ],
    [
      'a word near one of some',
      'exporters: {debug: {verbosity: "${env:NEAR}"}}',
      'expected one of `basic`, `normal`, `detailed`, got `${env:NEAR}`',
    ],
    ['a part of a text', 'exporters: {debug: {verbosity: "x${env:A}"}}', 'got `x${env:A}`, which stands for a text'],
    [
      'a number of one digit',
      'processors: {tail_sampling: {ratio: "${env:ONE}"}}',
      'processors::tail_sampling::ratio: must be at most 1',
    ],
    [
      'an id',
      'service::pipelines::traces::receivers: ["${env:ID}"]',
      'references receiver `${env:ID}` which is not configured',
    ],
    [
      'what is no id',
      'service::pipelines::traces::receivers: ["${env:ODD}"]',
      'what `${env:ODD}` stands for is no id of a component',
    ],
    [
      'the name of a variable',
      'processors: {any: {a: "${env:${env:A}}"}}',
      'environment variable that `${env:${env:A}}` leads to has invalid name',
    ],
    [
      'the name of a file',
      'processors: {any: {a: "${nope:${env:A}}"}}',
      '`${nope:${env:A}}`: a reference in it has a scheme that is not supported',
    ],
  ])('%s', (_, sections, message) => {
    const env = { A: 'hunter-2', ID: 'hunter2', NEAR: 'baasic', ONE: '7', ODD: 'hunter 2/' }
    try {
      load([around(''), sections], { env, ...files('hunter-2\n') })
      expect.unreachable()
    } catch (error) {
      if (!(error instanceof ConfigErrors)) throw error
      const told = renderErrors(error.errors)
      expect(told).toContain(message)
      expect(told).not.toMatch(/hunter|baasic|did you mean|`7`/)
    }
  })

  test('the default of a reference stands in the file, and is told', () => {
    expect(errorsOf(around('processors: {batch: {timeout: "${env:A:-soon}"}}'))).toEqual([
      '4:32 processors::batch::timeout: `soon` is no duration; write a number with a unit, such as `5s` or `200ms`',
    ])
  })
})

const secretIn = (value: string) => around(`exporters: {debug: , otlp_http: {endpoint: x, password: ${value}}}`)
const headerIn = (value: string) => around(`exporters: {debug: , otlp_grpc: {endpoint: x, headers: {a: ${value}}}}`)

describe('a secret of which something is missing is an error', () => {
  test.each([
    ['a variable that is not set', secretIn('"${env:PW}"'), 'password: the environment variable `PW` is not set'],
    ['one that is a part', secretIn('"Bearer ${env:PW}"'), 'password: the environment variable `PW` is not set'],
    ['one that is set, but empty', secretIn('"${env:E}"'), 'password: the environment variable `E` is set, but empty'],
    ['a file that is empty', secretIn('"${file:/pw}"'), 'password: the file `/pw` is empty'],
    ['a header', headerIn('"${env:PW}"'), 'headers::a: the environment variable `PW` is not set'],
    [
      'a default that is missing, too',
      secretIn('"${env:PW:-${env:E}}"'),
      'the environment variable `E` is set, but empty',
    ],
    [
      'one that another names',
      secretIn('"${env:NAMES}"'),
      'the environment variable that `${env:NAMES}` leads to is not set',
    ],
  ])('%s', (_, text, message) => {
    const errors = errorsOf(text, { env: { E: '', NAMES: '${env:PW}' }, ...files(' \n') })
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatch(/^4:\d+ exporters::/)
    expect(errors[0]).toContain(message)
    expect(errors[0]).toMatch(/\((?:set it, or give a default|write the value into it)/)
  })

  test.each([
    ['a variable that is set', secretIn('"${env:PW}"'), { PW: 'x' }],
    ['a default', secretIn('"${env:PW:-x}"'), {}],
    ['an empty variable in a default that is not used', secretIn('"${env:PW:-${env:E}}"'), { PW: 'x', E: '' }],
  ])('%s is none', (_, text, env) => {
    expect(errorsOf(text, { env })).toEqual([])
  })

  test('elsewhere it is a warning', () => {
    const text = around('exporters: {debug: {verbosity: "${env:V}"}}').replace(
      '"${env:V}"',
      'basic, timeout: "0${env:V}"',
    )
    expect(warningsOf(text)).toEqual([expect.stringContaining('the environment variable `V` is not set: empty here')])
  })
})

describe('the effective configuration', () => {
  const text = headerIn('"${env:H}"').replace(
    'endpoint: x',
    'endpoint: "http://u:p@${env:H}/?k=v", timeout: "${env:T}"',
  )
  const env = { H: 'hunter-2', T: '7s' }

  test('has references as they are written', () => {
    const shown = rendered(effectiveOf(load(text, { env })), { format: 'yaml', mode: 'redacted' })
    expect(shown).toContain('endpoint: http://[REDACTED]@${env:H}/?k=[REDACTED]\n')
    expect(shown).toContain('a: ${env:H}\n')
    expect(shown).toContain('timeout: ${env:T}\n')
    expect(shown).not.toMatch(/hunter|7s/)
  })

  test('has values where they are asked for', () => {
    const shown = rendered(effectiveOf(load(text, { env })), { format: 'yaml', mode: 'unredacted' })
    expect(shown).toContain('endpoint: http://u:p@hunter-2/?k=v\n')
    expect(shown).toContain('timeout: 7s\n')
  })

  test('differs by values, and tells references', () => {
    const [before, after] = ['1', '2'].map(one => load(text, { env: { ...env, T: `${one}s` } }))
    expect(differencesOf(before, after)).toEqual([
      {
        path: 'exporters::otlp_grpc',
        change: 'changed',
        keys: [{ key: 'timeout', before: '${env:T}', after: '${env:T}', secret: true }],
      },
    ])
  })

  test('keeps a secret that is the default of a reference', () => {
    const loaded = load(secretIn('"${env:PW:-hunter-2}"'))
    expect(rendered(effectiveOf(loaded), { format: 'json', mode: 'redacted' })).not.toContain('hunter')
    const wrong = secretIn('"${env:PW:-hunter-2}", timeot: 1')
    expect(() => load(wrong)).toThrow(ConfigErrors)
    try {
      load(wrong)
    } catch (error) {
      if (error instanceof ConfigErrors) expect(renderErrors(error.errors)).not.toContain('hunter')
    }
  })
})

test.each([
  ['http://h/p', 'http://h/p'],
  ['http://user@h', 'http://[REDACTED]@h'],
  ['http://u:p@h:1/x?a=b&c', 'http://[REDACTED]@h:1/x?a=[REDACTED]&[REDACTED]'],
  ['http://${env:U}:p@h', 'http://[REDACTED]@h'],
  ['http://u:${env:P}@h', 'http://[REDACTED]@h'],
  ['http://${env:U}:${env:P}@h', 'http://${env:U}:${env:P}@h'],
  ['u:p@h:4317', '[REDACTED]@h:4317'],
  ['a, https://u:p@h, b', 'a, https://[REDACTED]@h, b'],
  ['k8s.pod.name@host', 'k8s.pod.name@host'],
  ['what? no', 'what? no'],
])('of a URL users, passwords and values of the query are masked: %s', (url, masked) => {
  expect(maskUrl(url)).toBe(masked)
})

test.each([
  ['`hunter2` is none', 'hunter2', true],
  ['the part `unter` is none', 'hunter2', true],
  ['must be at most 10', '73', true],
  ['must not be so', '1', false],
  ['`1` is none', '1', true],
  ['must be a list', 'hunter', false],
])('a message %s may hold a part of the value %s: %s', (message, value, holds) => {
  expect(mayReveal(message, value)).toBe(holds)
})

test('what a component throws or logs is told without the values, in whatever case; short ones are part of too much', () => {
  const concealed = new Concealed([
    ['hunter-2', '${env:A}'],
    ['hunter-2-long', '${env:B}'],
    ['true', '${env:C}'],
  ])
  expect(concealed.tell('no HUNTER-2, no hunter-2-long, true')).toBe('no ${env:A}, no ${env:B}, true')
  const { message, stack } = concealed.tellAll(new Error('hunter-2')) as Error
  expect([message, stack?.includes('hunter')]).toEqual(['${env:A}', false])
  expect(concealed.tellAll({ a: [{ b: 'hunter-2' }], n: 1 })).toEqual({ a: [{ b: '${env:A}' }], n: 1 })
})
