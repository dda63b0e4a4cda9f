/** The few file operations that the log stands on, so that a test can stand in for the disk. */
import fs from 'node:fs'
import { open } from 'node:fs/promises'
import { noFollow } from '../../core/ownership.ts'

/** An open file. */
export interface FileHandle {
  readonly fd: number
  close(): Promise<void>
  /** Node's permission model allows this, and not the same by the number alone. */
  datasync(): Promise<void>
}

/** Everything the log does to a disk. Errors carry `code`, as those of node:fs do. */
export interface FileOperations {
  /** `create` makes a file that must not be there yet; `write` opens one to read and write, `durable` for `writeDurably`. */
  open(path: string, how: 'read' | 'write' | 'durable' | 'create'): Promise<FileHandle>
  close(file: FileHandle): Promise<void>
  /** Fills `buffers` from `at` on as far as the file goes; how many bytes that were. */
  read(file: FileHandle, buffers: readonly Buffer[], at: number): Promise<number>
  /** Writes all of `buffers` from `at` on. */
  write(file: FileHandle, buffers: readonly Buffer[], at: number): Promise<void>
  /** The same, and they are on disk when this resolves. */
  writeDurably(file: FileHandle, buffers: readonly Buffer[], at: number): Promise<void>
  truncate(file: FileHandle, size: number): Promise<void>
  /** What was written before is on disk when this resolves. */
  sync(file: FileHandle): Promise<void>
  /** The names in a directory are on disk when this resolves. */
  syncDirectory(path: string): Promise<void>
  size(file: FileHandle): Promise<number>
  list(path: string): Promise<string[]>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** Bytes that may still be written to the disk a directory is on. */
  free(path: string): Promise<number>
}

/**
 * With O_DSYNC a write does itself what fdatasync would do after it: one call less, which halves what a small write
 * costs. macOS has it and lets the disk lie; elsewhere it is not there.
 */
const writesThrough = process.platform === 'linux'

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_DSYNC } = fs.constants

/** A link in the place of a file is never followed. */
const flags = {
  read: O_RDONLY | noFollow,
  write: O_RDWR | noFollow,
  durable: O_RDWR | noFollow | (writesThrough ? O_DSYNC : 0),
  create: O_RDWR | O_CREAT | O_EXCL | noFollow,
} as const

type Done<T> = (error: Error | null, value: T) => void

/** A call of node:fs as a promise: its callbacks cost less than its own promises. */
const called = <T>(call: (done: Done<T>) => void): Promise<T> =>
  new Promise((resolve, reject) =>
    call((error, value) => {
      if (error) reject(error)
      else resolve(value)
    }),
  )

/** What is in them is for nobody else. */
const fileMode = 0o600

/** The operations on the disks of this machine. */
export const realFiles: FileOperations = {
  open: (path, how) => open(path, flags[how], fileMode),
  close: file => file.close(),
  read: readAll,
  write: writeAll,
  async writeDurably(file, buffers, at) {
    await writeAll(file, buffers, at)
    if (!writesThrough) await file.datasync()
  },
  truncate: ({ fd }, size) => called(done => fs.ftruncate(fd, size, error => done(error, undefined))),
  sync: file => file.datasync(),
  syncDirectory,
  size: async ({ fd }) => (await called<fs.Stats>(done => fs.fstat(fd, done))).size,
  list: path => called(done => fs.readdir(path, done)),
  rename: (from, to) => called(done => fs.rename(from, to, error => done(error, undefined))),
  unlink: path => called(done => fs.unlink(path, error => done(error, undefined))),
  async free(path) {
    const { bavail, bsize } = await called<fs.StatsFs>(done => fs.statfs(path, done))
    return bavail * bsize
  },
}

async function readAll({ fd }: FileHandle, buffers: readonly Buffer[], at: number): Promise<number> {
  let left = buffers
  let total = 0
  for (;;) {
    const part = await called<number>(done => fs.readv(fd, left, at + total, done))
    total += part
    left = without(left, part)
    if (part === 0 || left.length === 0) return total
  }
}

async function writeAll({ fd }: FileHandle, buffers: readonly Buffer[], at: number): Promise<void> {
  let left = buffers
  for (let from = at; left.length > 0;) {
    const part = await called<number>(done => fs.writev(fd, left, from, done))
    from += part
    left = without(left, part)
    if (part === 0 && left.length > 0) throw Object.assign(new Error('the disk took no bytes'), { code: 'EIO' })
  }
}

/** What is left of `buffers` after their first `bytes`. */
function without(buffers: readonly Buffer[], bytes: number): readonly Buffer[] {
  let left = bytes
  for (const [i, buffer] of buffers.entries()) {
    if (left < buffer.length) return left === 0 ? buffers.slice(i) : [buffer.subarray(left), ...buffers.slice(i + 1)]
    left -= buffer.length
  }
  return []
}

async function syncDirectory(path: string): Promise<void> {
  // Windows has no such thing; its file systems keep the order of names themselves.
  if (process.platform === 'win32') return
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** The code of an error of an operation: ENOSPC, EIO. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** Whether an error says that there is no room: the disk's, or what one user may have of it. */
export const isFull = (error: unknown): boolean => ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(codeOf(error) ?? '')
