import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FileWriter } from '../../exporters/file-writer.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kymo-writer-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const settings = { folders: undefined, files: 0o600, rotation: undefined, flushInterval: 5, onTrouble: () => {} }

test('a record of which the system takes only a part leaves nothing behind', async () => {
  const path = join(folder, 'limited')
  const fixture = join(import.meta.dirname, 'fixtures/limited-file.ts')
  // Files of at most 8 blocks of 1 KiB: the third record does not fit, the fourth does.
  const output = execFileSync('bash', ['-c', 'ulimit -f 8; exec "$@"', 'bash', process.execPath, fixture, path])
  expect(JSON.parse(String(output))).toEqual({ outcomes: ['a', 'b', 'EFBIG', 'd'], trouble: [] })
  const lines = String(await readFile(path)).split('\n')
  expect(lines.map(line => line.length)).toEqual([3000, 3000, 1000, 0])
})

test('a record that cannot be made keeps its place and hurts no other', async () => {
  const writer = new FileWriter(join(folder, 'f'), true, settings)
  const late = (text: string, wait: number) =>
    new Promise<Buffer[]>(resolve => setTimeout(() => resolve([Buffer.from(text)]), wait))
  const results = await Promise.allSettled([
    writer.append(late('a', 15)),
    writer.append(Promise.reject(new Error('no'))),
    writer.append([Buffer.from('b')]),
    writer.append(late('c', 1)),
    writer.append([Buffer.from('d')]),
  ])
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled'])
  await writer.close()
  expect(String(await readFile(writer.path))).toBe('abcd')
})

test('what was written is forced to the disk after a while, and closing twice is fine', async () => {
  const writer = new FileWriter(join(folder, 'f'), true, settings)
  await writer.append([Buffer.from('a')])
  await new Promise(resolve => setTimeout(resolve, 20))
  await writer.append([Buffer.from('b')])
  await writer.close()
  await writer.close()
  expect(String(await readFile(writer.path))).toBe('ab')
})
