import { afterEach, expect, test } from 'vitest'
import { Hasher } from '../../../extensions/basicauth/hasher.ts'

const salt = 'abcdefghijklmnopqrstuu'
const recipe = { scheme: 'bcrypt', cost: 5, salt } as const
const hash = 'OQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a'
const password = new TextEncoder().encode('secret')

const open: Hasher[] = []
afterEach(() => {
  for (const one of open.splice(0)) one.stop()
})
function made(): Hasher {
  const hasher = new Hasher()
  open.push(hasher)
  return hasher
}

test('hashing a password leaves the loop free', async () => {
  const hasher = made()
  await hasher.hash(password, recipe)
  const before = process.threadCpuUsage()
  await hasher.hash(password, { ...recipe, cost: 12 })
  const { user, system } = process.threadCpuUsage(before)
  // Microseconds; on the loop it would be more than half a million. The rest of the test's process collects garbage meanwhile.
  expect(user + system).toBeLessThan(150_000)
})

test('what nobody waits for any more ends before its time, and the next one is hashed', async () => {
  const hasher = made()
  await hasher.hash(password, recipe)
  // Hours, if it went on.
  const pending = hasher.hash(password, { ...recipe, cost: 25 })
  setTimeout(() => hasher.end(), 20)
  const { hash: unfinished, took } = await pending
  expect([unfinished, took > 0]).toEqual([undefined, true])
  expect(await hasher.hash(password, recipe)).toMatchObject({ hash })
})

test('a thread that breaks costs what it was at; the next one is hashed by another', async () => {
  const hasher = made()
  await expect(hasher.hash(password, { ...recipe, salt: 0 as never })).rejects.toThrow()
  expect(await hasher.hash(password, recipe)).toMatchObject({ hash })
})

test('stopping ends the thread and what it was at', async () => {
  const hasher = made()
  const pending = hasher.hash(password, { ...recipe, cost: 25 })
  hasher.stop()
  await expect(pending).rejects.toThrow('no longer checked')
})

test('what it took is CPU time of its thread: waiting for a core, and for the thread to start, costs nobody', async () => {
  const hasher = made()
  const pending = hasher.hash(password, { ...recipe, cost: 4 })
  // Nothing is heard of it for as long as this thread is kept.
  const end = performance.now() + 300
  while (performance.now() < end);
  expect((await pending).took).toBeLessThan(250)
})
