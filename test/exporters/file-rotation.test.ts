import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { backupName, removeOld, setAside } from '../../exporters/file-rotation.ts'

const time = Date.UTC(2022, 8, 14, 5, 2, 14, 173)
let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kymo-rotation-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const rotation = { maxBytes: 1, maxDays: 0, maxBackups: 0, localTime: false }

test.each([
  ['data.json', 'data-2022-09-14T05-02-14.173.json'],
  ['a.b/data', 'a.b/data-2022-09-14T05-02-14.173'],
  ['data.tar.gz', 'data.tar-2022-09-14T05-02-14.173.gz'],
])('%s is set aside as %s', (path, expected) => {
  expect(backupName(path, time, false)).toBe(expected)
})

test('local time has the offset of the zone', () => {
  const offset = new Date(time).getTimezoneOffset() * 60_000
  expect(backupName('a', time, true)).toBe(backupName('a', time - offset, false))
})

test('two files set aside in one millisecond are both kept', async () => {
  const path = join(folder, 'd.json')
  for (const text of ['one', 'two']) {
    await writeFile(path, text)
    await setAside(path, rotation, time)
  }
  expect((await readdir(folder)).toSorted()).toEqual([
    'd-2022-09-14T05-02-14.173.json',
    'd-2022-09-14T05-02-14.174.json',
  ])
})

test.each([
  ['the newest two', { maxBackups: 2 }, [0, 1]],
  ['those of three days', { maxDays: 3 }, [0, 1, 2, 3]],
  ['what both allow', { maxDays: 1, maxBackups: 5 }, [0, 1]],
  ['all', {}, [0, 1, 2, 3, 4]],
])('%s are kept, and what is no old file of ours', async (_, limits, kept) => {
  const path = join(folder, 'd.json')
  const others = ['d.json', 'd-notes.json', 'd-2022-09-14T05-02-14.173.txt', 'e-2020-01-01T00-00-00.000.json']
  const old = [0, 1, 2, 3, 4].map(days => backupName('d.json', time - days * 86_400_000, false))
  await Promise.all([...others, ...old].map(name => writeFile(join(folder, name), '')))
  await removeOld(path, { ...rotation, ...limits }, time)
  expect((await readdir(folder)).toSorted()).toEqual([...others, ...kept.map(i => old[i])].toSorted())
})
