import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { offeredBy } from '../../../core/capability.ts'
import { storageKey } from '../../../core/storage.ts'
import type { WorkerPlace } from '../../../core/worker.ts'
import { fileStorage } from '../../../extensions/file_storage/file_storage.ts'
import { inspectStorage } from '../../../extensions/file_storage/inspect.ts'
import { batchOf, spans } from '../../support/batches.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'
import { complaintsOf, extensionOf } from '../../support/extending.ts'
import { allOf, namesIn } from './opening.ts'

const directories: string[] = []

async function freshDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'kymo-storage-'))
  directories.push(directory)
  return directory
}

afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true })
})

async function started(config: object, worker?: WorkerPlace) {
  const keys = { segment_size: '1MiB', max_size: '32MiB', ...config }
  const running = extensionOf(fileStorage, keys, worker && { worker })
  await running.extension.start?.()
  const storage = offeredBy(running.extension, storageKey)
  if (storage === undefined) throw new Error('it offers no storage')
  return { ...running, storage }
}

test('of several processes each has a part of the directory, and a lock, of its own', async () => {
  const directory = await freshDirectory()
  const all = [0, 1].map(index => started({ directory }, { index, count: 2 }))
  for (const [index, one] of (await Promise.all(all)).entries()) {
    await one.storage.queue(`otlp/${index} traces`).append(spans(['a']))
    expect(await readdir(join(directory, `worker-${index}`))).toContain('lock')
    expect(one.storage.list().map(({ owner }) => owner)).toEqual([`otlp/${index} traces`])
    await one.stop()
  }
  expect(await readdir(directory)).toEqual(['worker-0', 'worker-1'])
})

test('what was queued on a real disk is there after a restart, payloads large and small', async () => {
  const directory = await freshDirectory()
  const before = await started({ directory })
  expect(before.storage.maxAge).toBe(48 * 3_600_000)
  const queue = before.storage.queue('otlp traces')
  const sizes = [10, 5_000, 100_000, 400_000, 3_000_000, 20]
  const bodies = sizes.map((size, i) => tracesRequest([{ spans: [`${i}`] }, { spans: ['x'.repeat(size)] }]))
  await Promise.all(bodies.map(body => queue.append(batchOf(body))))
  await before.storage.deadLetters?.append(spans(['dead']), { owner: 'o', reason: 'rejected', message: 'm' })
  await before.stop()

  const after = await started({ directory })
  const again = after.storage.queue('otlp traces')
  expect(again.backlog.records).toBe(6)
  const records = await allOf(again)
  expect(records.map(({ payload }, i) => payload.equals(bodies[i]))).toEqual(sizes.map(() => true))
  const dead = await after.storage.deadLetters?.next(undefined)
  expect(namesIn(dead)).toEqual(['dead'])
  expect(dead?.note?.reason).toBe('rejected')
  for (const record of records) again.end(record, record.items, 'delivered')
  await after.stop()
  const [state] = await inspectStorage(directory)
  expect(state).toMatchObject({
    worker: 0,
    queues: [{ owner: 'otlp traces', backlog: { records: 0 }, totals: { appended: 12, delivered: 12 } }],
    deadLetters: { owner: 'dead-letters', backlog: { records: 1, items: 1 } },
    findings: [],
  })
})

test('checkpoints on a real disk are there after a restart, and who looks at the queues does not see them', async () => {
  const directory = await freshDirectory()
  const before = await started({ directory })
  await before.storage.queue('otlp traces').append(spans(['a']))
  const checkpoints = await before.storage.checkpoints('file_log/app')
  const keys = Array.from({ length: 1_000 }, (_, i) => `/var/log/${i}`)
  await Promise.all(keys.map(key => checkpoints.put(key, Buffer.from(key))))
  for (const key of keys.slice(10)) checkpoints.delete(key)
  await checkpoints.put('/var/log/0', Buffer.alloc(65_536, 'x'))
  await before.stop()
  expect(await inspectStorage(directory)).toMatchObject([
    { worker: 0, queues: [{ owner: 'otlp traces', backlog: { records: 1 } }], findings: [] },
  ])

  const after = await started({ directory })
  expect(after.storage.list()).toHaveLength(1)
  const again = await after.storage.checkpoints('file_log/app')
  expect([...again.keys]).toEqual(keys.slice(0, 10))
  expect(again.get('/var/log/0')?.length).toBe(65_536)
  expect(again.get('/var/log/9')?.toString()).toBe('/var/log/9')
  await expect(after.storage.checkpoints('file_log/app')).rejects.toThrow(
    'the checkpoints of `file_log/app` are in use',
  )
  await after.stop()
  await expect(after.storage.checkpoints('file_log/app')).rejects.toThrow('the storage is closed')
})

test('what is stored can be looked at while a process writes, and nothing changes by it', async () => {
  const directory = await freshDirectory()
  const running = await started({ directory })
  await running.storage.queue('otlp traces').append(spans(['a', 'b']))
  const files = await readdir(join(directory, 'worker-0'))
  expect(await inspectStorage(directory)).toMatchObject([
    { worker: 0, queues: [{ owner: 'otlp traces', backlog: { records: 1, items: 2 } }], findings: [] },
  ])
  expect(await readdir(join(directory, 'worker-0'))).toEqual(files)
  await running.storage.queue('otlp logs').append(spans(['c']))
  await running.stop()
})

test('a directory that another process has is not opened; it is when that process has died', async () => {
  const directory = await freshDirectory()
  const own = join(directory, 'worker-0')
  await mkdir(own)
  const holder = spawn(process.execPath, [join(import.meta.dirname, 'holder.ts'), own], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    await once(holder.stdout, 'data')
    const refused = started({ directory, timeout: '60ms' })
    await expect(refused).rejects.toThrow(`\`${own}\` is in use by process ${holder.pid} on `)
    await expect(refused).rejects.toMatchObject({ kind: 'locked' })
  } finally {
    holder.kill('SIGKILL')
    await once(holder, 'exit')
  }
  const running = await started({ directory })
  expect(await readFile(join(own, 'lock.holder'), 'utf8')).toContain(`process ${process.pid} `)
  await running.stop()
  expect(await readdir(own)).not.toContain('lock.holder')
})

test('in one process too, a directory has one user at a time; the next waits for it to let go', async () => {
  const directory = await freshDirectory()
  const first = await started({ directory })
  await expect(started({ directory, timeout: '0s' })).rejects.toThrow('is in use by process')
  const second = started({ directory, timeout: '5s' })
  await first.stop()
  await (await second).stop()
})

test('a directory that is not there is made with the permissions asked for, or named with what to do', async () => {
  const directory = join(await freshDirectory(), 'a', 'b')
  await expect(started({ directory })).rejects.toThrow(
    `\`directory\` \`${directory}\` is not there; make it, or set \`create_directory: true\``,
  )
  const running = await started({ directory, create_directory: true, directory_permissions: '0700' })
  expect((await stat(join(directory, 'worker-0'))).mode & 0o777).toBe(0o700)
  await running.stop()
})

test('a directory that is a file is refused', async () => {
  const directory = join(await freshDirectory(), 'file')
  await writeFile(directory, '')
  await expect(started({ directory })).rejects.toThrow('is no directory; name another')
})

test.skipIf(process.platform === 'win32')('a directory that cannot be written to is refused', async () => {
  // For root no directory is; but nobody makes one in /proc.
  const isRoot = process.getuid?.() === 0
  const directory = isRoot ? '/proc/self' : await freshDirectory()
  if (!isRoot) await chmod(directory, 0o500)
  await expect(started({ directory })).rejects.toThrow(
    /^`directory` `.*` cannot be written to: .*; give this user the right to, or set another$/,
  )
})

test('dead letters can be turned off', async () => {
  const running = await started({ directory: await freshDirectory(), dead_letters: { enabled: false } })
  expect(running.storage.deadLetters).toBeUndefined()
  await running.stop()
})

test('without fsync it says what is not promised, and that compaction is needless', async () => {
  const running = await started({ directory: await freshDirectory(), fsync: false, compaction: { on_start: true } })
  await running.storage.queue('q').append(spans(['a']))
  await running.stop()
  const texts = running.lines.map(({ message }) => message).join('\n')
  expect(texts).toContain('`fsync` is off: what is accepted survives the end of the process, not of the machine')
  expect(texts).toContain('`compaction` is needless')
})

test.each([
  ['an empty directory', { directory: '' }, 'directory: `directory` must not be empty; name a directory'],
  ['no size', { max_size: 'much' }, 'max_size: `much` is no size; write one such as `10GiB`'],
  ['too small a size', { max_size: '1MiB' }, 'max_size: must be at least 8388608'],
  [
    'odd permissions',
    { directory_permissions: '0999' },
    'directory_permissions: expected octal permissions such as `0750`',
  ],
  ['no age', { max_age: '0s' }, 'max_age: must be more than 0ms'],
  ['an unknown key', { dir: '/x' }, ': Unrecognized key: "dir"'],
])('%s is refused', (_name, config, complaint) => {
  expect(complaintsOf(fileStorage, config)).toEqual([complaint])
})

test('sizes are read in units of 1024 and of 1000', () => {
  expect(fileStorage.config.parse({ max_size: '1.5GiB', segment_size: '2MB' })).toMatchObject({
    max_size: 1.5 * 2 ** 30,
    segment_size: 2_000_000,
  })
})
