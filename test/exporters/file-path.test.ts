import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { GroupedPath } from '../../exporters/file-path.ts'

// As contrib's fileexporter has it.
test.each([
  ['/data/*.json', 'a', '/data/a.json'],
  ['/data/*.json', 'a/b', '/data/a/b.json'],
  ['/data/*.json', '/a', '/data/a.json'],
  ['/data/*.json', './a', '/data/a.json'],
  ['/data/*.json', '../a', '/data/a.json'],
  ['/data/*.json', '../../etc/x', '/data/etc/x.json'],
  ['/data/*.json', 'a/../../b', '/data/b.json'],
  ['/data/logs-*', 'x/../../etc/passwd', '/data/logs-/etc/passwd'],
  ['/data/logs-*.json', 'a', '/data/logs-a.json'],
  ['./out/*/x.json', 'a', 'out/a/x.json'],
  ['out/../out/*', 'a', 'out/a'],
  ['/*', '../../a', '/a'],
  ['/data/*', '', '/data'],
])('in %s, `%s` is %s', (path, segment, expected) => {
  expect(new GroupedPath(path).of(segment)).toBe(expected)
})

test.each([
  ['ten folders', `${'x/'.repeat(10)}x`, true],
  ['eleven folders', `${'x/'.repeat(11)}x`, false],
  ['a thousand folders', 'x/'.repeat(1000), false],
  ['as many folders that cancel each other out', 'x/../'.repeat(100), true],
  ['1024 characters', 'x'.repeat(1024), true],
  ['1025 characters', 'x'.repeat(1025), false],
])('a value of %s is taken or not', (_, segment, isTaken) => {
  for (const path of ['/data/*.json', '/data/*/deep/er/x.json', 'logs-*']) {
    expect(new GroupedPath(path).of(segment) !== undefined).toBe(isTaken)
  }
})

test('what would act on a terminal is no part of a name', () => {
  expect(new GroupedPath('/data/*.json').of('a\u001b[2Jb\n\u009bc\u007f/d')).toBe('/data/a_[2Jb__c_/d.json')
})

test.each([
  ['/data/*.json', '/data'],
  ['/data/logs-*', '/data'],
  ['out/*/x', 'out'],
  ['logs-*', '.'],
  ['/*', '/'],
])('all files of %s are below %s', (path, base) => {
  expect(new GroupedPath(path).base).toBe(base)
})

test('whatever is written, the file is below what stands in front of the star', () => {
  const part = fc.constantFrom('..', '.', '/', 'a', '../', './', '//', '...', ' ', '\\', 'etc')
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), fc.constantFrom('/b/d/', '/b/d-', 'r/'), (parts, prefix) => {
      const path = new GroupedPath(`${prefix}*.json`).of(parts.join(''))
      expect(path === undefined || (path.startsWith(prefix) && !path.split('/').includes('..'))).toBe(true)
    }),
    { numRuns: 2000 },
  )
})
