import { expect, test } from 'vitest'
import { Account } from '../../../core/account.ts'
import { Budget } from '../../../core/budget.ts'
import { largestCheckpoint, longestCheckpointKey, type StorageError } from '../../../core/storage.ts'
import { directory, foundOn, namesOn, openFolder, refusal, textOf } from './checkpoint-opening.ts'
import { settled } from './opening.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { diskError, SimulatedDisk } from './simulated-disk.ts'

const value = (text: string): Buffer => Buffer.from(text)
const big = (text: string): Buffer => Buffer.from(text.repeat(largestCheckpoint / text.length))
const writesOf = (disk: SimulatedDisk): number => disk.operations.filter(({ kind }) => kind === 'write').length

test('what was put is read back at once and after a restart, what was deleted is not', async () => {
  const disk = new SimulatedDisk()
  const folder = openFolder(disk)
  const checkpoints = await folder.take('file_log/app')
  expect([...checkpoints.keys]).toEqual([])
  const given = value('1')
  const first = checkpoints.put('/var/log/a', given)
  given.write('x')
  expect(checkpoints.get('/var/log/a')?.toString()).toBe('1')
  await Promise.all([first, checkpoints.put('ключ 🔑', value('2')), checkpoints.put('', value(''))])
  await checkpoints.put('/var/log/b', big('b'))
  checkpoints.delete('ключ 🔑')
  checkpoints.delete('never there')
  expect(checkpoints.get('ключ 🔑')).toBeUndefined()
  const expected = { '': '', '/var/log/a': '1', '/var/log/b': big('b').toString() }
  expect(textOf(checkpoints)).toEqual(expected)
  await folder.close()
  expect(await foundOn(disk, 'file_log/app')).toEqual(expected)
  expect(await foundOn(disk, 'file_log/App')).toEqual({})
})

test('what waits is written at once; while a write is on its way the newest of each key waits', async () => {
  const disk = new SimulatedDisk()
  const checkpoints = await openFolder(disk).take('file_log')
  await checkpoints.put('a', value('0'))
  const before = writesOf(disk)
  const { promise, resolve } = Promise.withResolvers<void>()
  disk.fault = what => (what === 'sync' ? promise : undefined)
  const flying = Promise.all([checkpoints.put('a', value('1')), checkpoints.put('b', value('1'))])
  await settled()
  let isOver = false
  const waiting = Promise.all(Array.from({ length: 1000 }, (_, i) => checkpoints.put('a', value(`${i}`))))
  void waiting.then(() => (isOver = true))
  await settled()
  expect(writesOf(disk)).toBe(before + 1)
  expect(isOver).toBe(false)
  expect(textOf(checkpoints)).toEqual({ a: '999', b: '1' })
  expect(await foundOn(new SimulatedDisk(disk.image))).toEqual({ a: '1', b: '1' })
  resolve()
  await Promise.all([flying, waiting])
  expect(writesOf(disk)).toBe(before + 2)
  expect(await foundOn(disk)).toEqual({ a: '999', b: '1' })
})

test('a key that is put and deleted while a write is on its way is gone after it', async () => {
  const disk = new SimulatedDisk()
  const folder = openFolder(disk)
  const checkpoints = await folder.take('file_log')
  await checkpoints.put('kept', value('1'))
  const { promise, resolve } = Promise.withResolvers<void>()
  disk.fault = what => (what === 'sync' ? promise : undefined)
  const flying = checkpoints.put('a', value('1'))
  await settled()
  const overtaken = checkpoints.put('a', value('2'))
  checkpoints.delete('a')
  expect(textOf(checkpoints)).toEqual({ kept: '1' })
  resolve()
  await Promise.all([flying, overtaken])
  expect(textOf(checkpoints)).toEqual({ kept: '1' })
  expect(await foundOn(disk)).toEqual({ kept: '1' })
})

test('one file an owner is left, and it stays short, whatever is put', async () => {
  const disk = new SimulatedDisk()
  const folder = openFolder(disk)
  const checkpoints = await folder.take('file_log')
  for (let i = 0; i < 100; i++) await checkpoints.put(`key ${i % 10}`, value(`${i}`))
  for (let i = 0; i < 5; i++) checkpoints.delete(`key ${i}`)
  await folder.close()
  const names = await namesOn(disk)
  expect(names).toEqual([expect.stringMatching(/^file_log\.[\da-f]{16}\.[\da-f]{12}$/)])
  expect(disk.image.get(`${directory}/${names[0]}`)?.length).toBeLessThan(64 * 1024)
  expect(disk.operations.filter(({ kind }) => kind === 'unlink').length).toBeGreaterThan(5)
  expect(Object.keys(await foundOn(disk))).toEqual(['key 5', 'key 6', 'key 7', 'key 8', 'key 9'])
})

test('more than one group holds is written and read in several', async () => {
  const disk = new SimulatedDisk()
  const folder = openFolder(disk)
  const checkpoints = await folder.take('file_log')
  const texts = Array.from({ length: 20_000 }, (_, i) => `/var/log/pods/${i}`)
  await Promise.all(texts.map(key => checkpoints.put(key, value(key))))
  await Promise.all(Array.from({ length: 40 }, (_, i) => checkpoints.put(`big ${i}`, big('x'))))
  await folder.close()
  const again = openFolder(disk)
  const found = await again.take('file_log')
  expect([...found.keys].length).toBe(20_040)
  // The first who puts something has all of it written anew.
  await found.put('more', value('1'))
  expect(Object.keys(await foundOn(disk)).length).toBe(20_041)
})

test('keys and values that are too large are refused, the largest are taken', async () => {
  const disk = new SimulatedDisk()
  const checkpoints = await openFolder(disk).take('file_log')
  const longest = 'é'.repeat(longestCheckpointKey / 2)
  await checkpoints.put(longest, big('v'))
  expect(await foundOn(disk)).toEqual({ [longest]: big('v').toString() })
  await expect(checkpoints.put(`${longest}x`, value(''))).rejects.toThrow(RangeError)
  await expect(checkpoints.put('half \ud800', value(''))).rejects.toThrow(RangeError)
  await expect(checkpoints.put('a', Buffer.alloc(largestCheckpoint + 1))).rejects.toThrow('65537 bytes is too large')
  expect([...checkpoints.keys]).toEqual([longest])
})

test('owners whose names differ only in case, or only in what no name of a file has, have a file each', async () => {
  const disk = new SimulatedDisk()
  const folder = openFolder(disk)
  const names = ['file_log/a', 'file_log/A', 'file_log\\a', `file_log/${'ä'.repeat(2_000)}`]
  for (const name of names) await (await folder.take(name)).put('key', value(name))
  await folder.close()
  for (const name of names) expect(await foundOn(disk, name)).toEqual({ key: Buffer.from(name).toString('latin1') })
  const stems = await namesOn(disk)
  expect(stems).toHaveLength(4)
  for (const stem of stems) expect(stem).toMatch(/^[\da-z_.]{1,100}$/)
})

test('an owner has one user at a time, and the next one finds what the last one put', async () => {
  const disk = new SimulatedDisk()
  const folder = openFolder(disk)
  const opening = folder.take('file_log')
  expect(await refusal(folder.take('file_log'))).toMatchObject({ kind: 'locked' })
  const checkpoints = await opening
  expect(await refusal(folder.take('file_log'))).toMatchObject({ kind: 'locked' })
  const other = await folder.take('kafka')
  await other.put('a', value('other'))
  const last = checkpoints.put('a', value('1'))
  checkpoints.close()
  expect(await refusal(checkpoints.put('a', value('2')))).toMatchObject({ kind: 'closed' })
  checkpoints.close()
  const again = await folder.take('file_log')
  await last
  expect(textOf(again)).toEqual({ a: '1' })
  await again.put('a', value('3'))
  await folder.close()
  expect(await refusal(again.put('a', value('4')))).toMatchObject({ kind: 'closed' })
  expect(await refusal(folder.take('file_log'))).toMatchObject({ kind: 'closed' })
  expect(await foundOn(disk)).toEqual({ a: '3' })
  expect(await foundOn(disk, 'kafka')).toEqual({ a: 'other' })
})

test.each(['open', 'write', 'sync', 'rename', 'syncDirectory'])(
  'a %s that fails refuses what waits; values are what is on disk, and it is tried again until it works',
  async what => {
    const disk = new SimulatedDisk()
    const clock = new SimulatedClock()
    const troubles: [string, string | undefined][] = []
    const onTrouble = (owner: string, trouble: StorageError | undefined): void =>
      void troubles.push([owner, trouble?.kind])
    const folder = openFolder(disk, { clock, onTrouble })
    const checkpoints = await folder.take('file_log')
    await Promise.all(['a', 'b', 'c'].map(key => checkpoints.put(key, value('1'))))
    checkpoints.close()
    // What was found is never added to, so that the next write does all there is to do.
    const again = await folder.take('file_log')
    disk.fault = (kind, path) => {
      if (kind === what) throw diskError('EIO', path)
    }
    again.delete('c')
    const refused = await refusal(Promise.all([again.put('a', value('2')), again.put('new', value('2'))]))
    expect(refused).toMatchObject({ kind: 'sick' })
    expect(refused.message).toMatch(/^writing the checkpoints of `file_log` to `\/disk` failed: EIO/)
    expect(textOf(again)).toEqual({ a: '1', b: '1' })
    expect(await refusal(again.put('b', value('late')))).toMatchObject({ kind: 'sick' })
    again.delete('b')

    clock.pass(1_000)
    await settled()
    expect(await refusal(again.put('b', value('late')))).toMatchObject({ kind: 'sick' })
    disk.fault = undefined
    clock.pass(2_000)
    await settled()
    expect(troubles).toEqual([
      ['file_log', 'sick'],
      ['file_log', 'sick'],
      ['file_log', undefined],
    ])
    await again.put('a', value('3'))
    await folder.close()
    expect(await foundOn(disk)).toEqual({ a: '3' })
    expect(await namesOn(disk)).toHaveLength(1)
  },
)

test('what a failed write left behind is not added to, and what was refused may be there after a crash', async () => {
  const disk = new SimulatedDisk()
  const clock = new SimulatedClock()
  const checkpoints = await openFolder(disk, { clock }).take('file_log')
  await checkpoints.put('a', value('1'))
  disk.fault = what => {
    if (what === 'sync') throw diskError('EIO', what)
  }
  expect(await refusal(checkpoints.put('a', value('2')))).toMatchObject({ kind: 'sick', maybeStored: true })
  expect(await foundOn(new SimulatedDisk(disk.image))).toEqual({ a: '2' })
  disk.fault = undefined
  clock.pass(1_000)
  await settled()
  // It was written anew without it.
  expect(await foundOn(new SimulatedDisk(disk.image))).toEqual({ a: '1' })
  await checkpoints.put('b', value('1'))
  expect(await foundOn(disk)).toEqual({ a: '1', b: '1' })
})

test('a full disk is told as that, is not filled to the last byte, and does not take what is there', async () => {
  const disk = new SimulatedDisk()
  const clock = new SimulatedClock()
  const folder = openFolder(disk, { clock })
  const checkpoints = await folder.take('file_log')
  await checkpoints.put('a', value('1'))
  disk.fault = what => {
    if (what === 'write') throw diskError('ENOSPC', what)
  }
  expect(await refusal(checkpoints.put('a', value('2')))).toMatchObject({ kind: 'full' })
  disk.fault = undefined
  disk.freeBytes = 4096
  const before = writesOf(disk)
  clock.pass(1_000)
  await settled()
  expect(writesOf(disk)).toBe(before)
  const refused = await refusal(checkpoints.put('a', value('2')))
  expect(refused).toMatchObject({ kind: 'full' })
  expect(refused.message).toContain('4096 bytes left of 8192 needed')
  disk.freeBytes = 1 << 20
  clock.pass(2_000)
  await settled()
  await checkpoints.put('a', value('2'))
  await folder.close()
  expect(await foundOn(disk)).toEqual({ a: '2' })
  expect(await namesOn(disk)).toHaveLength(1)
})

test('a sync that hangs refuses what waits; it can be closed, and others go on', async () => {
  const disk = new SimulatedDisk()
  const clock = new SimulatedClock()
  const troubles: (string | undefined)[] = []
  const folder = openFolder(disk, { clock, onTrouble: (_, trouble) => troubles.push(trouble?.message) })
  const checkpoints = await folder.take('file_log')
  await checkpoints.put('a', value('1'))
  const { promise, resolve } = Promise.withResolvers<void>()
  disk.fault = (what, path) => (what === 'sync' && path.includes('file_log') ? promise : undefined)
  const flying = refusal(checkpoints.put('a', value('2')))
  await settled()
  const waiting = refusal(checkpoints.put('b', value('2')))
  clock.pass(10_000)
  expect(await flying).toMatchObject({ kind: 'sick', maybeStored: true })
  expect(await waiting).toMatchObject({ kind: 'sick', maybeStored: false })
  expect(troubles).toEqual(['a write for the checkpoints of `file_log` in `/disk` does not return'])
  expect(textOf(checkpoints)).toEqual({ a: '1' })
  checkpoints.close()
  const next = await folder.take('file_log')
  const other = await folder.take('kafka')
  await other.put('a', value('1'))
  disk.fault = undefined
  await next.put('a', value('3'))
  resolve()
  await settled()
  await next.put('b', value('3'))
  await folder.close()
  // What the hanging write left stands in a file that counts no more.
  expect(await foundOn(disk)).toEqual({ a: '3', b: '3' })
})

test('a folder whose disk hangs can be closed', async () => {
  const disk = new SimulatedDisk()
  const clock = new SimulatedClock()
  const folder = openFolder(disk, { clock })
  const checkpoints = await folder.take('file_log')
  disk.fault = what => (what === 'sync' ? new Promise<void>(() => {}) : undefined)
  const flying = refusal(checkpoints.put('a', value('1')))
  await settled()
  const closed = folder.close()
  clock.pass(10_000)
  await closed
  expect(await flying).toMatchObject({ kind: 'sick' })
})

test('what is found is charged before it is kept; a key that grows no more is put even where there is no memory', async () => {
  const disk = new SimulatedDisk()
  const budget = new Budget(16_000)
  const account = new Account(budget, 'extension', 'file_storage')
  const folder = openFolder(disk, { account })
  const checkpoints = await folder.take('file_log')
  await checkpoints.put('a', Buffer.alloc(1_000))
  await checkpoints.put('b', Buffer.alloc(1_000))
  const refused = await refusal(checkpoints.put('c', Buffer.alloc(2_000)))
  expect(refused).toMatchObject({ kind: 'full' })
  expect(refused.message).toContain('no memory for the checkpoints of `file_log`')
  expect([...checkpoints.keys]).toEqual(['a', 'b'])
  budget.pressed = true
  await checkpoints.put('a', Buffer.alloc(1_000, 'x'))
  expect(checkpoints.get('a')?.[0]).toBe(0x78)
  budget.pressed = false
  const before = budget.kept
  checkpoints.delete('b')
  await checkpoints.put('a', Buffer.alloc(1_000))
  expect(budget.kept).toBeLessThan(before / 1.9)
  checkpoints.close()
  await settled()
  expect(budget.kept).toBe(0)

  budget.limit = 4_000
  expect(await refusal(folder.take('file_log'))).toMatchObject({ kind: 'full' })
  expect(budget.kept).toBe(0)
  budget.limit = 16_000
  expect([...(await folder.take('file_log')).keys]).toEqual(['a'])
})
