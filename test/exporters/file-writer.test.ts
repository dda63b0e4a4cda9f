import { execFileSync } from 'node:child_process'
import { type FileHandle, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { FileWriter } from '../../exporters/file-writer.ts'
import { MovableClock } from '../support/clock.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kymo-writer-'))
})
afterEach(async () => {
  vi.restoreAllMocks()
  await rm(folder, { recursive: true, force: true })
})

function writing() {
  const clock = new MovableClock()
  const settings = { folders: undefined, files: 0o600, rotation: undefined, flushInterval: 5, onTrouble: () => {} }
  return { clock, writer: new FileWriter(join(folder, 'f'), true, { clock, ...settings }) }
}

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
  const { clock, writer } = writing()
  const late = (text: string, wait: number) =>
    new Promise<Buffer[]>(resolve => clock.after(wait, () => resolve([Buffer.from(text)])))
  const written = Promise.allSettled([
    writer.append(late('a', 15)),
    writer.append(Promise.reject(new Error('no'))),
    writer.append([Buffer.from('b')]),
    writer.append(late('c', 1)),
    writer.append([Buffer.from('d')]),
  ])
  await clock.advance(15)
  const results = await written
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled'])
  await writer.close()
  expect(String(await readFile(writer.path))).toBe('abcd')
})

test('what was written is forced to the disk after a while, and closing twice is fine', async () => {
  const { clock, writer } = writing()
  const other = await open(join(folder, 'other'), 'w')
  const forced = vi.spyOn(Object.getPrototypeOf(other) as FileHandle, 'datasync')
  await other.close()
  await writer.append([Buffer.from('a')])
  await clock.advance(4)
  expect(forced).not.toHaveBeenCalled()
  await clock.advance(1)
  expect(forced).toHaveBeenCalledTimes(1)
  await writer.append([Buffer.from('b')])
  await writer.close()
  await writer.close()
  expect(forced).toHaveBeenCalledTimes(2)
  expect(String(await readFile(writer.path))).toBe('ab')
})
