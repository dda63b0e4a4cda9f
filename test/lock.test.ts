import { expect, test } from 'vitest'
import { missingOf, readLock } from '../scripts/lock.ts'

test('the lock file is complete, or `npm ci` refuses it; `npm run lock` completes it', () => {
  expect(Object.keys(missingOf(readLock().packages))).toEqual([])
})

test.each([
  [
    'nowhere',
    {},
    { 'node_modules/@x/linux-x64-gnu': { cpu: ['x64'], os: ['linux'], libc: ['glibc'], optional: true } },
  ],
  ['beside it', { 'node_modules/@x/linux-x64-gnu': { version: '1.0.0' } }, {}],
  ['inside it', { 'node_modules/a/node_modules/@x/linux-x64-gnu': { version: '1.0.0' } }, {}],
  [
    'beside it in another version',
    { 'node_modules/@x/linux-x64-gnu': { version: '2.0.0' } },
    { 'node_modules/a/node_modules/@x/linux-x64-gnu': { version: '1.0.0' } },
  ],
])('an optional package that stands %s', (_, others, missing) => {
  const a = { version: '1.0.0', optionalDependencies: { '@x/linux-x64-gnu': '1.0.0' } }
  const found = missingOf({ 'node_modules/a': a, ...others })
  expect(found).toMatchObject(missing)
  expect(Object.keys(found)).toEqual(Object.keys(missing))
})
