import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test, vi } from 'vitest'
import { Status } from '../../core/status.ts'
import { faultOfFile, onlyValue, WatchedFile } from '../../extensions/watched-file.ts'
import { MovableClock } from '../support/clock.ts'
import { keepingLogger, type Line } from '../support/kymo.ts'

const folder = mkdtempSync(join(tmpdir(), 'kymo-watched-'))
afterAll(() => rmSync(folder, { recursive: true }))
const open: WatchedFile<string>[] = []
afterEach(() => {
  vi.restoreAllMocks()
  syncBuiltinESMExports()
  for (const file of open.splice(0)) file.stop()
})

let made = 0
function watched(text: string) {
  const clock = new MovableClock()
  const path = join(folder, `file${made++}`)
  writeFileSync(path, text)
  const lines: Line[] = []
  const status = new Status()
  status.set('Starting')
  const file = new WatchedFile('filename', path, onlyValue, { log: keepingLogger(lines), status, clock })
  open.push(file)
  file.start()
  const value = () => {
    try {
      return file.value
    } catch {
      return undefined
    }
  }
  return { path, file, status, lines, value, look: () => clock.advance(2000) }
}

test.each<[string, (path: string) => void, string]>([
  ['emptied', path => truncateSync(path), 'it is empty'],
  ['left with blanks', path => writeFileSync(path, ' \n\n'), 'it is empty'],
  ['removed', path => rmSync(path), 'ENOENT'],
  [
    'replaced by a folder',
    path => {
      rmSync(path)
      mkdirSync(path)
    },
    'it is no file',
  ],
  [
    'replaced by a pipe that nobody writes to',
    path => {
      rmSync(path)
      execFileSync('mkfifo', [path])
    },
    'it is no file',
  ],
  ['grown beyond any use', path => truncateSync(path, (1 << 20) + 1), 'it is larger than 1048576 bytes'],
])('a file that is %s says nothing from then on, and says why, until it is mended', async (_what, spoil, why) => {
  const { path, value, status, lines, look } = watched('good')
  expect(value()).toBe('good')
  spoil(path)
  await look()
  expect(status.state).toBe('RecoverableError')
  expect(status.lastError).toContain(why)
  expect(value()).toBeUndefined()
  expect(lines.at(-1)).toMatchObject({
    level: 'warn',
    message: expect.stringContaining('lets nobody in and nothing out'),
  })
  rmSync(path, { recursive: true, force: true })
  writeFileSync(join(folder, 'next'), 'better')
  symlinkSync('next', path)
  await look()
  expect(value()).toBe('better')
  expect(status.state).toBe('OK')
})

test('a process that may open no more files keeps what the file said', async () => {
  const { value, status, look } = watched('good')
  const full = Object.assign(new Error('too many open files'), { code: 'EMFILE' })
  vi.spyOn(promises, 'open').mockRejectedValue(full)
  syncBuiltinESMExports()
  await look()
  expect(status.state).toBe('RecoverableError')
  expect(value()).toBe('good')
})

test('a file that only has to be there later is no fault of a configuration; one that is there and is wrong is', () => {
  expect(faultOfFile(join(folder, 'nowhere'), onlyValue)).toBeUndefined()
  writeFileSync(join(folder, 'blank'), '\n')
  expect(faultOfFile(join(folder, 'blank'), onlyValue)).toBe(`cannot use ${join(folder, 'blank')}: it is empty`)
  expect(faultOfFile(folder, onlyValue)).toContain('it is no file')
})
