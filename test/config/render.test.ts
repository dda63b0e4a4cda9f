import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ConfigError } from '../../core/errors.ts'
import { renderErrors } from '../../config/load.ts'
import type { Place } from '../../config/place.ts'
import { snippetOf } from '../../config/render.ts'
import { ConfigErrors } from '../../config/load.ts'
import { around, load } from './toys.ts'

const place = (text: string, start: number, end: number): Place => ({
  source: { name: 'a', text, order: 0 },
  start,
  end,
})

/** All that a user sees of the errors of a configuration. */
function seen(text: string, env = {}): string {
  try {
    load(text, { env })
  } catch (error) {
    if (error instanceof ConfigErrors) return renderErrors(error.errors)
    throw error
  }
  return ''
}

test('an error is shown with place, code, message, source line, caret and hint', () => {
  const error = new ConfigError('CONFIG_UNKNOWN_KEY', 'exporters::debug: unknown key `verbos`', {
    position: { file: 'kymo.yaml', line: 3, column: 5 },
    snippet: '   3 |     verbos: x\n     |     ^^^^^^',
    hint: 'did you mean `verbosity`?',
  })
  expect(renderErrors([error])).toBe(`kymo.yaml:3:5: CONFIG_UNKNOWN_KEY: exporters::debug: unknown key \`verbos\`
   3 |     verbos: x
     |     ^^^^^^
  hint: did you mean \`verbosity\`?
`)
})

test('an error beside a word without an end is told at once, and what is secret behind it is hidden', () => {
  const word = 'a'.repeat(500_000)
  const line = `{${word}: 1, password: hunter2, url: http://me:hunter2@x/?k=hunter2, wrong: ${word}}`
  const snippet = snippetOf(place(line, line.indexOf('wrong'), line.indexOf('wrong') + 5), [])
  expect(snippet).toContain('wrong')
  expect(snippet).not.toContain('hunter')
})

test('an error without a place is its message', () => {
  expect(renderErrors([new ConfigError('CONFIG_SOURCE', 'no configuration given')])).toBe(
    'CONFIG_SOURCE: no configuration given\n',
  )
})

test('the caret keeps its place behind tabs', () => {
  expect(snippetOf(place('\ta: b', 4, 5), [])).toBe('   1 | \ta: b\n     | \t   ^')
})

test('the caret stands behind the end of a text that stops too early', () => {
  expect(snippetOf(place('a: "b', 5, 6), [])).toBe('   1 | a: "b\n     |      ^')
})

test('of a long line, what is around the place is shown', () => {
  const text = `a: {${'x: 1, '.repeat(60)}here: 2, ${'y: 1, '.repeat(60)}}`
  const [line, carets] = snippetOf(place(text, text.indexOf('here'), text.indexOf('here') + 4), []).split('\n')
  expect(line.length).toBeLessThan(125)
  expect(line.slice(carets.indexOf('^'), carets.lastIndexOf('^') + 1)).toBe('here')
})

test('the caret is under the place on any line', () => {
  const line = fc.string({ unit: fc.constantFrom(...'ab {}:,x'.split('')), minLength: 1, maxLength: 300 })
  fc.assert(
    fc.property(
      line,
      line,
      fc.string({ unit: fc.constantFrom(...'QRS'.split('')), minLength: 1, maxLength: 20 }),
      (a, b, word) => {
        const text = `first\n${a}${word}${b}\nlast`
        const start = 6 + a.length
        const [shown, carets] = snippetOf(place(text, start, start + word.length), []).split('\n')
        expect(shown.slice(carets.indexOf('^'), carets.lastIndexOf('^') + 1)).toBe(word)
      },
    ),
  )
})

test.each([
  ['a secret of the wrong type', 'exporters: {debug: , otlp_http: {endpoint: x, pin: 481516}}'],
  ['a secret beside an error, in flow style', 'exporters: {debug: , otlp_http: {endpont: x, pin: "481516"}}'],
  ['a list in place of a secret', 'exporters: {debug: , otlp_http: {endpoint: x, pin: [481516]}}'],
  ['a header beside an error', 'exporters: {debug: , otlp_grpc: {endpont: x, headers: {x-any: "481516"}}}'],
  ['a header of the wrong type', 'exporters: {debug: , otlp_grpc: {endpoint: x, headers: {x-any: 481516}}}'],
  ['a misspelt key of a secret', 'exporters: {debug: , otlp_http: {endpoint: x, pasword: 481516}}'],
  ['a section of a component that is not known, by the key', 'exporters: {debug: , unheard: {api_key: 481516}}'],
  ['a key that sounds secret in a component that is not known', 'exporters: {debug: , datadog: {token: "481516"}}'],
  ['any value of a component that is not known', 'exporters: {debug: , unheard: {x: {y: [481516]}}}'],
  ['any value of a section that is not known', 'exportes: {otlp_http: {x: "481516"}}'],
  ['a key near none where there are secrets', 'exporters: {debug: , otlp_http: {endpoint: x, zzzzzz: 481516}}'],
  ['a text in place of headers', 'exporters: {debug: , otlp_grpc: {endpoint: x, headers: "481516"}}'],
  ['a syntax error at the secret itself', 'exporters: {debug: }\nx: }\n481516'],
  ['an authorization in any section', 'processors: {batch: {x: "Bearer 481516"}}'],
  ['a secret beside a syntax error', 'exporters: {debug: , otlp_http: {password: 481516, endpoint: [}}'],
  ['a secret whose own text is a syntax error', 'exporters: {debug: , otlp_http: {password: "481516'],
])('%s never shows', (_, sections) => {
  const text = seen(around(sections))
  expect(text).toMatch(/\^/)
  expect(text).not.toContain('481516')
})

test('a secret out of a variable never shows, its name does', () => {
  const text = seen(around('exporters: {debug: , otlp_http: {endpoint: x, pin: "${env:PIN}", x: 1}}'), {
    PIN: '481516',
  })
  expect(text).toContain('${env:PIN}')
  expect(text).not.toContain('481516')
  expect(seen(around('exporters: {debug: , otlp_http: {endpoint: x, pin: "${env:PIN}"}}'), { PIN: '481516' })).toBe('')
})

test('the document does not print its secrets', () => {
  const { document, configured } = load(around('exporters: {debug: , otlp_http: {endpoint: x, pin: "481516"}}'))
  expect(JSON.stringify(document)).toContain('"pin":"[REDACTED]"')
  expect(JSON.stringify(document)).not.toContain('481516')
  expect(configured.exporters.get('otlp_http')?.config).toMatchObject({ endpoint: 'x' })
})
