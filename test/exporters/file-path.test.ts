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

test('whatever is written, the file is below what stands in front of the star', () => {
  const part = fc.constantFrom('..', '.', '/', 'a', '../', './', '//', '...', ' ', '\\', 'etc')
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), fc.constantFrom('/b/d/', '/b/d-', 'r/'), (parts, prefix) => {
      const path = new GroupedPath(`${prefix}*.json`).of(parts.join(''))
      expect(path.startsWith(prefix) && !path.split('/').includes('..')).toBe(true)
    }),
    { numRuns: 2000 },
  )
})
