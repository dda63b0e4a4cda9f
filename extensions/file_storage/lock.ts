/** The lock of a directory: no two processes write in one. */
import { constants } from 'node:fs'
import { open, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { noFollow, noWait } from '../../core/ownership.ts'
import { StorageError } from '../../core/storage.ts'
import { codeOf } from './files.ts'

const pollInterval = 50

/** A directory that is ours until it is closed. */
export interface DirectoryLock {
  close(): Promise<void>
}

/**
 * Takes the lock of `directory`, waiting up to `timeout` ms for it. Node has no file locks of its own; SQLite's are those
 * of the kernel: they end with the process however it ends, and hold between containers that share a disk.
 * @throws StorageError `locked`, with who has it
 */
export async function lockDirectory(directory: string, timeout: number): Promise<DirectoryLock> {
  // Loaded here, since only who stores on disk needs it.
  const { DatabaseSync } = await import('node:sqlite')
  const lock = join(directory, 'lock')
  await make(lock)
  const database = new DatabaseSync(lock, { timeout: 0 })
  const holder = join(directory, 'lock.holder')
  // The time of another process is waited for: no clock of ours moves it.
  const deadline = performance.now() + timeout
  for (;;) {
    try {
      database.exec('PRAGMA journal_mode = MEMORY; PRAGMA cache_size = 1; BEGIN EXCLUSIVE')
      break
    } catch (error) {
      const isBusy = error instanceof Error && /locked|busy/.test(error.message)
      const isOver = performance.now() >= deadline
      if (isBusy && !isOver) {
        await sleep(pollInterval)
        continue
      }
      database.close()
      if (!isBusy) throw error
      const by = await nameIn(holder).catch(() => 'another process')
      const message = `\`${directory}\` is in use by ${by}; stop that, or set another \`directory\``
      throw new StorageError('locked', message)
    }
  }
  await sign(holder, `process ${process.pid} on ${hostname()}\n`).catch(() => {})
  return {
    async close() {
      await unlink(holder).catch(() => {})
      database.close()
    },
  }
}

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL } = constants
const fileMode = 0o600

/** SQLite would follow a link, and make the file readable for others. @throws what the system says of a link */
async function make(path: string): Promise<void> {
  try {
    await (await open(path, O_WRONLY | O_CREAT | O_EXCL | noFollow, fileMode)).close()
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    await (await open(path, O_RDONLY | noFollow | noWait)).close()
  }
}

/** Says who has the lock, in a file that is new: what was there may be a link to another. */
async function sign(path: string, text: string): Promise<void> {
  await unlink(path).catch(() => {})
  const file = await open(path, O_WRONLY | O_CREAT | O_EXCL | noFollow, fileMode)
  try {
    await file.writeFile(text)
  } finally {
    await file.close()
  }
}

/** Names of machines are shorter. */
const longestName = 300

/** What `sign` said; read so that nothing else can be shown in its place. */
async function nameIn(path: string): Promise<string> {
  const file = await open(path, O_RDONLY | noFollow | noWait)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(longestName), 0, longestName, 0)
    return buffer.toString('utf8', 0, bytesRead).trim()
  } finally {
    await file.close()
  }
}
