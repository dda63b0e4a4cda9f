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

test.each(['(', '[a', '(?P<1a>x)', 'a**'])('%s is no pattern', source => {
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
