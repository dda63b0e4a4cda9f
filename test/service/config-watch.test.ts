import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ConfigWatch } from '../../service/config-watch.ts'

let folder: string
let watch: ConfigWatch | undefined
let changes = 0
let refused = 0
let faults: unknown[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kymo-watch-'))
  changes = 0
  refused = 0
  faults = []
})
afterEach(() => {
  watch?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const path = (...names: string[]) => join(folder, ...names)
/** Watches; `interval` of an hour: only the system says that something has changed. */
async function watching(files: string[], interval = 3_600_000, failing = false): Promise<void> {
  const onChange = async () => {
    if (++changes > refused) return true
    if (failing) throw new Error('out of nowhere')
    return false
  }
  const onFault = (error: unknown) => void faults.push(error)
  watch = new ConfigWatch({ files: () => files, onChange, onFault, settle: 30, interval })
  await watch.start()
}

test.each<[string, number]>([
  ['when the system says so', 3_600_000],
  ['by looking now and then', 20],
])('a file that is written is told of once it stands still, %s', async (_, interval) => {
  writeFileSync(path('kymo.yaml'), 'a')
  await watching([path('kymo.yaml')], interval)
  for (const text of ['b', 'bc', 'bcd']) {
    writeFileSync(path('kymo.yaml'), text)
    await delay(5)
  }
  await expect.poll(() => changes).toBe(1)
  await delay(100)
  expect(changes).toBe(1)
})

test('a file that is put in the place of another, as editors do, is told of', async () => {
  writeFileSync(path('kymo.yaml'), 'a')
  await watching([path('kymo.yaml')])
  writeFileSync(path('kymo.yaml~'), 'b')
  renameSync(path('kymo.yaml~'), path('kymo.yaml'))
  await expect.poll(() => changes).toBe(1)
})

test('a link that is exchanged, as Kubernetes does with mounted ConfigMaps, is told of', async () => {
  mkdirSync(path('..1'))
  mkdirSync(path('..2'))
  writeFileSync(path('..1', 'kymo.yaml'), 'a')
  writeFileSync(path('..2', 'kymo.yaml'), 'b')
  symlinkSync('..1', path('..data'))
  symlinkSync(join('..data', 'kymo.yaml'), path('kymo.yaml'))
  await watching([path('kymo.yaml')])
  symlinkSync('..2', path('..tmp'))
  renameSync(path('..tmp'), path('..data'))
  await expect.poll(() => changes).toBe(1)
})

test('what is written again as it was is no change', async () => {
  writeFileSync(path('kymo.yaml'), 'a')
  await watching([path('kymo.yaml')], 20)
  writeFileSync(path('kymo.yaml'), 'a')
  await delay(150)
  expect(changes).toBe(0)
})

test('a file that goes and comes back is told of each time, one whose folder is not there yet when it comes', async () => {
  writeFileSync(path('kymo.yaml'), 'a')
  await watching([path('kymo.yaml'), path('later', 'more.yaml')], 20)
  unlinkSync(path('kymo.yaml'))
  await expect.poll(() => changes).toBe(1)
  writeFileSync(path('kymo.yaml'), 'a')
  await expect.poll(() => changes).toBe(2)
  mkdirSync(path('later'))
  writeFileSync(path('later', 'more.yaml'), 'x')
  await expect.poll(() => changes).toBe(3)
})

test('a change that nobody takes up is told of again', async () => {
  writeFileSync(path('kymo.yaml'), 'a')
  refused = 2
  await watching([path('kymo.yaml')], 20)
  writeFileSync(path('kymo.yaml'), 'b')
  await expect.poll(() => changes).toBe(3)
  await delay(100)
  expect(changes).toBe(3)
})

test('a look that fails is told, and what changed is told of again', async () => {
  writeFileSync(path('kymo.yaml'), 'a')
  refused = 2
  await watching([path('kymo.yaml')], 20, true)
  writeFileSync(path('kymo.yaml'), 'b')
  await expect.poll(() => changes).toBe(3)
  expect(faults).toHaveLength(2)
})
