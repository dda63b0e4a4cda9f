/** The lock of a directory: no two processes write in one. */
import { readFile, unlink, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { StorageError } from '../../core/storage.ts'

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
  const database = new DatabaseSync(join(directory, 'lock'), { timeout: 0 })
  const holder = join(directory, 'lock.holder')
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
      const by = await readFile(holder, 'utf8').catch(() => 'another process')
      const message = `\`${directory}\` is in use by ${by.trim()}; stop that, or set another \`directory\``
      throw new StorageError('locked', message)
    }
  }
  await writeFile(holder, `process ${process.pid} on ${hostname()}\n`).catch(() => {})
  return {
    async close() {
      await unlink(holder).catch(() => {})
      database.close()
    },
  }
}
