/** Files with credentials: read when an extension starts, and again when they change. */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Clock, Timer } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Status } from '../core/status.ts'

/** How often files are looked at, in milliseconds. */
const interval = 2000

/** The largest file that is read: some ten thousand users. */
const largest = 1 << 20

/** Nobody who writes to a pipe is waited for. */
const flags = constants.O_RDONLY | constants.O_NONBLOCK

/** What says something of this process, and nothing of the file. */
const passing = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR'])

/** What keeps a file from being looked at where a configuration is only checked: that is no fault of the configuration. */
const elsewhere = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM'])

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? ''

/** Whose file it is: who is told what is wrong with it, and tells the time. */
export interface WatchedFileOwner {
  readonly clock: Clock
  readonly log: Logger
  readonly status: Status
}

/** Makes of a file's text what it says; throws when it says nothing that can be used. */
export type ParseFile<T> = (text: string) => T

/** Why the file at `path` cannot be used, where that can be known before it is; a file that is not there may still come. */
export function faultOfFile(path: string, parse: ParseFile<unknown>): string | undefined {
  try {
    parse(readNow(path))
    return undefined
  } catch (error) {
    return elsewhere.has(codeOf(error)) ? undefined : `cannot use ${path}: ${messageOf(error)}`
  }
}

/** The text of a file that has one value. */
export function onlyValue(text: string): string {
  const value = text.trim()
  if (value === '') throw new Error('it is empty')
  return value
}

/**
 * What a file says. It is read rather than watched, since links are replaced over it where it is mounted. A file that is
 * not there yet, or wrong, is no end: the next look may find it mended. Until then it says nothing, even where it said
 * something before: to empty or remove a file is how credentials are taken back.
 */
export class WatchedFile<T> {
  readonly #key: string
  readonly #path: string
  readonly #parse: ParseFile<T>
  readonly #owner: WatchedFileOwner
  #text: string | undefined
  #value: T | undefined
  #error: string | undefined
  #looks: Timer | undefined
  #stopped = false

  /** `key` is the option that names the file. */
  constructor(key: string, path: string, parse: ParseFile<T>, owner: WatchedFileOwner) {
    this.#key = key
    this.#path = path
    this.#parse = parse
    this.#owner = owner
  }

  /**
   * What it says.
   * @throws Error when it says nothing now
   */
  get value(): T {
    if (this.#value === undefined) throw new Error(this.#error ?? `\`${this.#key}\` ${this.#path} was not read yet`)
    return this.#value
  }

  /** Reads the file, and from now on looks whether it has changed. */
  start(): void {
    try {
      this.#take(readNow(this.#path))
    } catch (error) {
      this.#failed(error)
    }
    this.#looks = this.#owner.clock.every(interval, () => this.#look())
  }

  stop(): void {
    this.#stopped = true
    this.#looks?.cancel()
  }

  async #look(): Promise<void> {
    try {
      const text = await readLater(this.#path)
      if (!this.#stopped) this.#take(text)
    } catch (error) {
      if (!this.#stopped) this.#failed(error)
    }
  }

  #take(text: string): void {
    if (text === this.#text && this.#error === undefined) return
    const isFirst = this.#text === undefined && this.#error === undefined
    this.#value = this.#parse(text)
    this.#text = text
    const wasWrong = this.#error !== undefined
    this.#error = undefined
    if (wasWrong) this.#owner.status.set('OK')
    if (!isFirst) this.#owner.log.info({ file: this.#path }, 'the file has changed and is in use')
  }

  #failed(error: unknown): void {
    if (!passing.has(codeOf(error))) this.#value = undefined
    const text = `cannot use \`${this.#key}\` ${this.#path}: ${messageOf(error)}`
    if (text === this.#error) return
    this.#error = text
    this.#owner.status.set('RecoverableError', text)
    const until =
      this.#value === undefined ? 'until then it lets nobody in and nothing out' : 'what it said stays in use'
    this.#owner.log.warn(
      { file: this.#path, error: messageOf(error) },
      `the file cannot be used and is tried again; ${until}`,
    )
  }
}

/** A buffer for what a file has: not for a folder, nor for a pipe or device, which may have no end. A link is what it leads to. */
function roomFor(stats: Stats): Buffer {
  if (!stats.isFile()) throw new Error('it is no file')
  if (stats.size > largest) throw new Error(`it is larger than ${largest} bytes`)
  // Files that the system makes up say that they have none.
  return Buffer.alloc(Math.max(stats.size, 4096) + 1)
}

function textOf(buffer: Buffer, length: number): string {
  if (length === buffer.length) throw new Error('it grows while it is read')
  return buffer.toString('utf8', 0, length)
}

function readNow(path: string): string {
  const file = openSync(path, flags)
  try {
    const buffer = roomFor(fstatSync(file))
    let length = 0
    for (let read = -1; read !== 0 && length < buffer.length; length += read)
      read = readSync(file, buffer, length, buffer.length - length, null)
    return textOf(buffer, length)
  } finally {
    closeSync(file)
  }
}

async function readLater(path: string): Promise<string> {
  const file = await open(path, flags)
  try {
    const buffer = roomFor(await file.stat())
    let length = 0
    for (let read = -1; read !== 0 && length < buffer.length; length += read)
      read = (await file.read(buffer, length, buffer.length - length, null)).bytesRead
    return textOf(buffer, length)
  } finally {
    await file.close()
  }
}
