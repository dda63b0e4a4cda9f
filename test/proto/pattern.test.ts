import { expect, test } from 'vitest'
import { compilePattern } from '../../proto/pattern.ts'

test.each([
  ['a plain word matches inside', 'kube', 'my-kube-system', true],
  ['anchors hold', '^kube$', 'kube-system', false],
  ['flags may lead, as in RE2', '(?i)KUBE', 'kube', true],
  ['an escaped hyphen is taken', '^a\\-b$', 'a-b', true],
  ['text is matched by character', '^.$', '🦊', true],
  ['classes of RE2', '^\\d+\\w$', '12a', true],
])('%s', (_name, source, text, expected) => {
  const pattern = compilePattern(source)
  expect(pattern.matches(text)).toBe(expected)
  // Again: nothing is remembered between two texts.
  expect(pattern.matches(text)).toBe(expected)
})

test.each([
  ['groups are named in RE2 or in JavaScript', '(?P<a>x)(?<b>y)?', ['a', 'b'], 'x', ['x', '']],
  ['a group without a name is told', '(x)(?P<b>y)', [undefined, 'b'], 'xy', ['x', 'y']],
  ['brackets in classes and escapes open no group', '[(](?:x)\\((?P<a>y)', ['a'], '(x(y', ['y']],
])('%s', (_name, source, groups, text, found) => {
  const pattern = compilePattern(source)
  expect(pattern.groups).toEqual(groups)
  expect(pattern.extract(text)).toEqual(found)
  expect(pattern.extract('nothing like it')).toBe(undefined)
})

test.each(['(', '[a', '(?P<a.b>x)', 'a**'])('%s is no pattern', source => {
  expect(() => compilePattern(source)).toThrow(SyntaxError)
})

// As Go's ReplaceAllStringFunc does it.
test.each([
  ['b+', 'abbcb', 'a<bb>c<b>'],
  ['x', 'abc', 'abc'],
  ['b*', 'abc', '<>a<b>c<>'],
  ['.*', 'ab', '<ab>'],
  ['.*', 'a\n\nb\n', '<a>\n<>\n<b>\n<>'],
  ['', 'ab', '<>a<>b<>'],
  ['^a', 'aa', '<a>a'],
  ['(?i)B', 'abB', 'a<b><B>'],
  ['🦊*', 'a🦊🦊b', '<>a<🦊🦊>b<>'],
])('%s in %j is replaced', (source, text, expected) => {
  expect(compilePattern(source).replace(text, match => `<${match}>`)).toBe(expected)
})

// As Go's regexp has it; what JavaScript says differs in each.
test.each([
  ['[[:digit:]]{4}-[[:digit:]]{4}', 'card 4111-2222', true],
  ['^[[:^alpha:]]+$', '12-', true],
  ['^\\pL+$', 'größe', true],
  ['^\\p{Greek}$', 'λ', true],
  ['\\Qa.b\\E', 'axb', false],
  ['\\Qa.b\\E', 'a.b', true],
  ['\\Ab', 'a\nb', false],
  ['(?m)^b$', 'a\nb', true],
  ['a\\z', 'a\n', false],
  ['a$', 'a\n', false],
  ['\\x{41}', 'A', true],
  ['^[]a]+$', ']a', true],
  ['a(?i)b', 'aB', true],
  ['a(?i)b', 'AB', false],
  ['(?i:k)', '\u212a', true],
  ['^a.b$', 'a\rb', true],
  ['^a.b$', 'a\u2028b', true],
  ['^a.b$', 'a\nb', false],
  ['(?s)^a.b$', 'a\nb', true],
  ['\\s', '\u00a0', false],
  ['\\s', '\v', false],
  ['^\\w$', 'é', false],
  ['\\bé', ' é', false],
  ['^\\C*$', '', undefined],
])('%s in %j: %s, as in Go', (source, text, expected) => {
  if (expected === undefined) expect(() => compilePattern(source)).toThrow(SyntaxError)
  else expect(compilePattern(source).matches(text)).toBe(expected)
})

test('repetition can be made lazy for all', () => {
  expect(compilePattern('(?U)(a+)').extract('aaa')).toEqual(['a'])
})

test.each([
  ['(?=a)b', "look-ahead is not part of RE2's syntax: `(?=` at character 1"],
  ['[(?=]a(?!b)', "look-ahead is not part of RE2's syntax: `(?!` at character 7"],
  ['ab(?<=c)d', "look-behind is not part of RE2's syntax: `(?<=` at character 3"],
  ['(a)\\1', "back-references are not part of RE2's syntax: `\\1` at character 4"],
  ['(?P<n>a)(?P=n)', "back-references are not part of RE2's syntax: `(?P=n)` at character 9"],
  ['a(?>b)', "atomic groups are not part of RE2's syntax: `(?>` at character 2"],
  ['\\((a)(b', 'missing closing ): `(` at character 6'],
  ['(a))b', 'unexpected ): `)` at character 4'],
  ['[a*]b[a', 'missing closing ]: `[a` at character 6'],
  ['[**]a**', 'invalid nested repetition operator: `**` at character 6'],
  ['a{1001}', 'invalid repeat count: `{1001}` at character 2'],
  ['(a{1000}){1000}', 'invalid repeat count: `{1000}` at character 10'],
  ['(?P<a.b>x)', 'invalid named capture: `(?P<a.b>` at character 1'],
  ['a\\', 'trailing backslash at end of expression: `\\` at character 2'],
  ['[z-a]', 'invalid character class range: `z-a` at character 2'],
])('%s is refused: %s', (source, message) => {
  expect(() => compilePattern(source)).toThrow(new SyntaxError(message))
})

test.each([
  ['too long', 'a'.repeat(8193), /at most 8192 characters/],
  ['too large', '(?:abcdefghij{20}){50}'.repeat(6), /too large/],
])('a pattern that is %s is refused', (_name, source, message) => {
  expect(() => compilePattern(source)).toThrow(message)
})

test('a text that is longer than can be told matches not, and is not replaced', () => {
  const pattern = compilePattern('a')
  const text = 'a'.repeat(pattern.longest + 1)
  expect([pattern.matches(text), pattern.extract(text), pattern.replace(text, () => 'b')]).toEqual([
    false,
    undefined,
    undefined,
  ])
  expect(compilePattern('([a-z]{1,50} ?){1,20}$').longest).toBeGreaterThan(300)
})
