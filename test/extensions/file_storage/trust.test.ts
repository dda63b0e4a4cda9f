/** Directories that others can write to, and links that they leave there. */
import { chmod, chown, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { offeredBy } from '../../../core/capability.ts'
import { storageKey } from '../../../core/storage.ts'
import { fileStorage } from '../../../extensions/file_storage/file_storage.ts'
import { realFiles } from '../../../extensions/file_storage/files.ts'
import { lockDirectory } from '../../../extensions/file_storage/lock.ts'
import { spans } from '../../support/batches.ts'
import { complaintsOf, extensionOf } from '../../support/extending.ts'

let folder = ''
let victim = ''
let directory = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kymo-trust-'))
  victim = join(folder, 'victim')
  directory = join(folder, 'queues')
  await writeFile(victim, 'dear to somebody')
  await mkdir(directory)
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function start(config: object = {}) {
  const running = extensionOf(fileStorage, { directory, segment_size: '1MiB', max_size: '32MiB', ...config })
  await running.extension.start?.()
  const storage = offeredBy(running.extension, storageKey)
  await storage?.queue('q').append(spans(['a']))
  const checkpoints = await storage?.checkpoints('file_log')
  await checkpoints?.put('/var/log/a', Buffer.from('1'))
  return running
}

describe.skipIf(process.platform === 'win32')('a storage', () => {
  test('makes directories and files that nobody else can read', async () => {
    const running = await start({ directory: join(directory, 'new'), create_directory: true })
    const own = join(directory, 'new', 'worker-0')
    const modes = await Promise.all(
      [own, ...(await readdir(own, { recursive: true })).map(name => join(own, name))].map(async path => {
        const found = await stat(path)
        return `${found.isDirectory() ? 'directory' : 'file'} ${(found.mode & 0o777).toString(8)}`
      }),
    )
    expect(new Set(modes)).toEqual(new Set(['directory 700', 'file 600']))
    expect(await readdir(own)).toEqual(expect.arrayContaining(['lock', 'lock.holder']))
    expect(await readdir(join(own, 'checkpoints'))).toHaveLength(1)
    await running.stop()
  })

  test.each([
    ['the name of who has the lock', 'lock.holder'],
    ['the lock', 'lock'],
    ['a file of the log', '0000000000000001.log'],
    ['the dead letters', 'dead-letters'],
    ['a dead letter', 'dead-letters/0000000000000001.log'],
    ['the checkpoints', 'checkpoints'],
    ['a file of checkpoints', 'checkpoints/file_log.0123456789abcdef.000000000001'],
    ['a name that nothing of ours has', 'other'],
  ])('does not start where a link stands for %s, and its target is as it was', async (_, name) => {
    const link = join(directory, 'worker-0', name)
    await mkdir(join(link, '..'), { recursive: true, mode: 0o700 })
    await symlink(victim, link)
    await expect(start()).rejects.toThrow(
      `\`${link}\` is a symbolic link, and nothing is written through one: remove it`,
    )
    expect(await readFile(victim, 'utf8')).toBe('dear to somebody')
    await rm(link)
    await (await start()).stop()
  })

  test('does not start where a link stands for its own part', async () => {
    const elsewhere = join(folder, 'elsewhere')
    await mkdir(elsewhere)
    await symlink(elsewhere, join(directory, 'worker-0'))
    await expect(start()).rejects.toThrow('is a symbolic link')
    expect(await readdir(elsewhere)).toEqual([])
  })

  test('starts in a directory that is a link of its own user', async () => {
    const link = join(folder, 'link')
    await symlink(directory, link)
    await (await start({ directory: link })).stop()
    expect(await readdir(directory)).toEqual(['worker-0'])
  })

  test.each([
    ['its directory', '', 0o777],
    ['its own part', 'worker-0', 0o757],
    ['its dead letters', 'worker-0/dead-letters', 0o777],
  ])('does not start where everybody can write to %s; once that is mended it does', async (_, part, mode) => {
    const path = join(directory, part)
    await mkdir(path, { recursive: true })
    await chmod(path, mode)
    await expect(start()).rejects.toThrow(
      `\`${path}\` is not used: everybody on this machine can write there: \`chmod o-w ${path}\``,
    )
    await chmod(path, 0o700)
    await (await start()).stop()
  })

  test('starts below a directory with the sticky bit, in what is its own', async () => {
    await chmod(directory, 0o1777)
    await (await start()).stop()
  })

  test.skipIf(process.geteuid?.() !== 0)('does not start where another user owns the directory', async () => {
    await chown(directory, 12_345, 12_345)
    await expect(start()).rejects.toThrow('it belongs to user 12345')
    await chown(directory, 0, 0)
    await (await start()).stop()
  })

  test('takes the lock in place of a link that came later, and never through it', async () => {
    // As if somebody had been quicker than the look at the directory.
    await symlink(victim, join(directory, 'lock.holder'))
    const lock = await lockDirectory(directory, 0)
    expect(await readFile(victim, 'utf8')).toBe('dear to somebody')
    expect((await lstat(join(directory, 'lock.holder'))).isFile()).toBe(true)
    await lock.close()
    await rm(join(directory, 'lock'))
    await symlink(victim, join(directory, 'lock'))
    await expect(lockDirectory(directory, 0)).rejects.toThrow('ELOOP')
    expect(await readFile(victim, 'utf8')).toBe('dear to somebody')
  })

  test('says who has the lock, and not what a link in that place leads to', async () => {
    const lock = await lockDirectory(directory, 0)
    await rm(join(directory, 'lock.holder'))
    await symlink(victim, join(directory, 'lock.holder'))
    await expect(lockDirectory(directory, 0)).rejects.toThrow(`is in use by another process`)
    await lock.close()
  })

  test.each(['read', 'write', 'durable', 'create'] as const)('opens no link to %s', async how => {
    const link = join(directory, 'link')
    await symlink(victim, link)
    await expect(realFiles.open(link, how)).rejects.toThrow(/ELOOP|EEXIST/)
  })
})

test.each([
  ['0777', 1],
  ['0772', 1],
  ['0775', 0],
  ['0700', 0],
  ['0750', 0],
])('`directory_permissions` of %s: %i complaints', (directory_permissions, count) => {
  const found = complaintsOf(fileStorage, { directory: '/d', directory_permissions })
  expect(found).toHaveLength(count)
  if (count > 0) expect(JSON.stringify(found)).toContain('everybody could write there')
})
