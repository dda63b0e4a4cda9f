import { expect, test } from 'vitest'
import { CHECK, IGNORE, MASK, REMOVE, Rules, type RuleSettings } from '../../../processors/redaction/rules.ts'
import { collectGarbage } from '../../../service/memory.ts'

const settings: RuleSettings = {
  allow_all_keys: false,
  allowed_keys: ['a', 'token'],
  ignored_keys: ['i'],
  ignored_key_patterns: ['^ignored[.]'],
  blocked_key_patterns: ['token'],
  blocked_values: [],
  allowed_values: [],
  hash_function: '',
}

test.each([
  ['a', CHECK],
  ['own', CHECK],
  ['b', REMOVE],
  ['i', IGNORE],
  ['ignored.x', IGNORE],
  ['token', MASK],
  ['x'.repeat(300), REMOVE],
  ['', REMOVE],
])('key `%s`', (key, expected) => {
  const rules = new Rules(settings, ['own'])
  const bytes = Buffer.from(`..${key}..`)
  // The second time it is remembered.
  for (let i = 0; i < 2; i++) expect(rules.ofKey(bytes, 2, bytes.length - 2)).toBe(expected)
})

test('patterns are made ready one at a step, and mean the same before and after', () => {
  const rules = new Rules({ ...settings, allow_all_keys: true, blocked_values: ['4[0-9]{12}', 'x+y'] }, [])
  const verdicts = () => [rules.ofName('ignored.x'), rules.ofName('token2'), rules.masked('a 4111111111111 xxy')]
  const before = verdicts()
  expect([...rules.prepare()]).toHaveLength(4)
  expect(before).toEqual([IGNORE, MASK, 'a **** ****'])
  expect(verdicts()).toEqual(before)
})

test('more keys than are remembered have the same verdicts', () => {
  const rules = new Rules({ ...settings, blocked_key_patterns: ['7$'], allow_all_keys: true }, [])
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 5000; i++) {
      const key = Buffer.from(`key-${i}`)
      expect(rules.ofKey(key, 0, key.length)).toBe(i % 10 === 7 ? MASK : CHECK)
    }
  }
})

test('remembered keys keep nothing else alive', async () => {
  const rules = new Rules(settings, [])
  collectGarbage()
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 500; i++) {
    const key = Buffer.from(`key-${i}`)
    rules.ofKey(key, 0, key.length)
    // What else goes through a process meanwhile: the memory that small buffers share is used up by it.
    for (let left = 40; left > 0; left--) Buffer.from('x'.repeat(2000))
  }
  // One pass may leave what it found to be freed behind it.
  const kept = (): number => {
    collectGarbage()
    return process.memoryUsage().arrayBuffers - before
  }
  await expect.poll(kept).toBeLessThan(2 ** 20)
  expect(rules.ofName('key-1')).toBe(REMOVE)
})
