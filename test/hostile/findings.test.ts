/** What the fuzzers (test/fuzz) have found, one row each, mended since. */
import { expect, test } from 'vitest'
import { loadConfig } from '../../config/load.ts'
import { ConfigErrors } from '../../config/report.ts'
import { components } from '../support/components.ts'
import { normalise } from '../../proto/normalise.ts'
import { decode } from '../support/otlp.ts'

test.each<[what: string, message: string, hex: string]>([
  ['a text, then a truth value that is written as bytes', 'AnyValue', '0a016b120100'],
  ['the same within a list that stands twice', 'AnyValue', '2a080a060a016b1201002a040a020a00'],
  ['a number point with its value as an integer, then as a text', 'NumberDataPoint', '3107000000000000002200'],
])('in normal form %s is what it was', (_, message, hex) => {
  const bytes = Buffer.from(hex, 'hex')
  expect(decode(message, normalise(message, bytes))).toEqual(decode(message, bytes))
})

const aliases = (first: string) =>
  Array.from({ length: 40 }, (_, i) => `b${i}: &b${i} [${i === 0 ? first : `*b${i - 1}, *b${i - 1}`}]\n`).join('')

test.each<[what: string, yaml: string, told: RegExp]>([
  ['keys in keys in keys', `${'? '.repeat(600)}x`, /more than 100 sections are in one another/],
  ['lists in lists', `receivers: ${'['.repeat(20_000)}`, /more than 100 sections are in one another/],
  ['sections in sections', '{a: '.repeat(20_000), /more than 100 sections are in one another/],
  ['aliases of aliases', aliases('x'), /aliases of this document unfold to too many values/],
  ['aliases of aliases, the first of which names nothing', aliases('*nothing'), /unfold to too many values/],
  ['the same as a value', `receivers: {otlp: {x: '\${yaml:${aliases('*nothing').replaceAll('\n', ' ')}}'}}`, /./],
  [
    'many aliases of a large section',
    `a: &a [${'b,'.repeat(5000)}]\nc: [${'*a,'.repeat(5000)}]`,
    /unfold to too many values/,
  ],
])('a configuration of %s is refused at once', (_, yaml, told) => {
  const since = performance.now()
  let errors: unknown
  try {
    loadConfig({ sources: [`yaml:${yaml}`], components, env: {} })
  } catch (error) {
    errors = error
  }
  expect(errors).toBeInstanceOf(ConfigErrors)
  expect(String(errors)).toMatch(told)
  expect(performance.now() - since).toBeLessThan(1000)
})
