import { expect, test } from 'vitest'
import { shownUrl } from '../../core/shown-url.ts'

test.each([
  ['http://gateway:4318/v1/traces', 'http://gateway:4318/v1/traces'],
  ['http://user:s3cret@gateway:4318/x', 'http://[REDACTED]@gateway:4318/x'],
  ['http://s3cret@gateway', 'http://[REDACTED]@gateway'],
  ['https://gateway/x?token=s3cret&a=b', 'https://gateway/x?[REDACTED]'],
  ['https://gateway/x?token=s3cret#s3cret', 'https://gateway/x?[REDACTED]#[REDACTED]'],
  ['https://gateway/a@b', 'https://gateway/a@b'],
  ['user:s3cret@gateway:4317', '[REDACTED]@gateway:4317'],
  ['http://user:s3cret/s3cret@gate way', 'http://[REDACTED]@gate way'],
  ['http://user:s3cret?s3cret@gate way', '[REDACTED]'],
  ['http://user:s3#cret@gate way', '[REDACTED]'],
  ['/login?token=s3cret', '/login?[REDACTED]'],
  ['gateway:4317', 'gateway:4317'],
  ['', ''],
])('%s is shown as %s', (text, expected) => {
  expect(shownUrl(text)).toBe(expected)
})
