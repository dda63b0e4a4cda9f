/** The table of a pattern says what the engine says, in time that grows with the text alone. */
import * as fc from 'fast-check'
import { RE2JS } from 're2js'
import { expect, test } from 'vitest'
import { compilePattern } from '../../proto/pattern.ts'

const characters = [
  'a',
  'b',
  'k',
  '0',
  '_',
  '-',
  ' ',
  '\n',
  '\r',
  '\t',
  '\u00a0',
  'é',
  'ſ',
  '\u212a',
  '\u2028',
  '🦊',
  '\ufffd',
]
const atoms = [
  [
    'a',
    'b',
    'k',
    '0',
    '-',
    ' ',
    '🦊',
    'é',
    'ab',
    '.',
    '\\s',
    '\\S',
    '\\d',
    '\\w',
    '\\W',
    '\\b',
    '\\B',
    '^',
    '$',
    '\\A',
    '\\z',
  ],
  [
    '[ab]',
    '[^a]',
    '[]a]',
    '[^\\n]',
    '[[:alpha:]]',
    '[[:^space:]-]',
    '\\pL',
    '\\PN',
    '\\p{Greek}',
    '\\Qa.b\\E',
    '\\x{41}',
    '\\n',
  ],
  ['(?i)', '(?s)', '(?m)', '(?U)', '(?-i)', '(?i:k)', '(?:)', '()'],
].flat()
const quantifiers = ['', '', '', '*', '+', '?', '*?', '+?', '??', '{2}', '{0,2}', '{1,}', '{1,3}?']

const patterns = fc.letrec<{ pattern: string; part: string; one: string }>(tie => ({
  pattern: fc.array(tie('part'), { minLength: 1, maxLength: 3 }).map(parts => parts.join('|')),
  part: fc.array(tie('one'), { maxLength: 4 }).map(ones => ones.join('')),
  one: fc.oneof(
    {
      weight: 4,
      arbitrary: fc.tuple(fc.constantFrom(...atoms), fc.constantFrom(...quantifiers)).map(both => both.join('')),
    },
    fc
      .tuple(fc.constantFrom('(', '(?:', '(?P<n>'), tie('pattern'), fc.constantFrom(...quantifiers))
      .map(([open, inner, quantifier]) => `${open}${inner})${quantifier}`),
  ),
})).pattern
const texts = fc
  .tuple(
    fc.array(fc.constantFrom(...characters, 'ab', 'aab', 'A.b', 'K'), { maxLength: 24 }),
    fc.constantFrom(1, 1, 1, 60),
  )
  // Long ones are looked at another way.
  .map(([all, times]) => all.join('').repeat(times))

function engineOf(source: string): RE2JS | undefined {
  try {
    return RE2JS.compile(source)
  } catch {
    return undefined
  }
}

test('random patterns mean what the engine says, on random texts', () => {
  let compiled = 0
  fc.assert(
    fc.property(patterns, fc.array(texts, { minLength: 4, maxLength: 4 }), (source, those) => {
      const engine = engineOf(source)
      if (engine === undefined) {
        expect(() => compilePattern(source)).toThrow(SyntaxError)
        return
      }
      compiled++
      const pattern = compilePattern(source)
      for (const text of those) {
        expect(pattern.matches(text), `${source} in ${JSON.stringify(text)}`).toBe(engine.test(text))
        const found = engine.exec(text)
        expect(pattern.extract(text)).toEqual(found?.slice(1).map((group: string | undefined) => group ?? ''))
        const replaced = engine.re2().replaceAllFunc(text, (match: string) => `<${match}>`, text.length + 1)
        expect(
          pattern.replace(text, match => `<${match}>`, { left: Infinity }),
          `${source} in ${JSON.stringify(text)}`,
        ).toBe(replaced)
      }
    }),
    { numRuns: 1200 },
  )
  expect(compiled).toBeGreaterThan(500)
}, 120_000)

test.each([
  ['.*token.*', 't'],
  ['^(a+)+$', 'a'],
  ['(a|aa)+$', 'a'],
  ['(x+x+)+y', 'x'],
  ['(.*)(.*)(.*)z', 'a'],
  ['a[^b]*b|a', 'a'],
  ['[0-9]', '1'],
  ['[a-z0-9]+@[a-z0-9]+\\.com', 'a@'],
  ['.{0,100}secret.{0,100}', 's'],
  ['([a-z]{1,50} ?){1,20}$', 'a'],
  ['(?i)(password|passwd|secret|token)[=:]\\s*\\S+', 'passwordtoken=  '],
  ['\\s+$', ' '],
  ['$', 'a\n'],
  ['(?s).*?', 'a'],
])('%s in a long text of %j takes no more than its length allows', (source, unit) => {
  const spent = (size: number): number => {
    const pattern = compilePattern(source)
    const text = unit.repeat(size / unit.length)
    pattern.matches('')
    const before = process.threadCpuUsage()
    pattern.matches(text)
    pattern.extract(text)
    pattern.replace(text, match => match)
    const { user } = process.threadCpuUsage(before)
    return user / 1000
  }
  for (const size of [1 << 12, 1 << 16, 1 << 20, 1 << 24]) expect(spent(size)).toBeLessThan(500)
})
