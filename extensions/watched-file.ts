/** Files with credentials: read when an extension starts, and again when they change. */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Status } from '../core/status.ts'

/** How often files are looked at, in milliseconds. */
const interval = 2000

/** Whom to tell what is wrong with the file. */
export interface WatchedFileOwner {
  readonly log: Logger
  readonly status: Status
}

/**
 * What a file says. It is read rather than watched, since links are replaced over it where it is mounted. A file that is
 * not there yet, or wrong, is no end: what was good stays in use, and the next look may find it mended.
 */
export class WatchedFile<T> {
  readonly #key: string
  readonly #path: string
  readonly #parse: (text: string) => T
  readonly #owner: WatchedFileOwner
  #text: string | undefined
  #value: T | undefined
  #error: string | undefined
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  /** `key` is the option that names the file. */
  constructor(key: string, path: string, parse: (text: string) => T, owner: WatchedFileOwner) {
    this.#key = key
    this.#path = path
    this.#parse = parse
    this.#owner = owner
  }

  /**
   * What it says.
   * @throws Error when it has not been read yet
   */
  get value(): T {
    if (this.#value === undefined) throw new Error(this.#error ?? `\`${this.#key}\` ${this.#path} was not read yet`)
    return this.#value
  }

  /** Reads the file, and from now on looks whether it has changed. */
  start(): void {
    try {
      this.#take(readFileSync(this.#path, 'utf8'))
    } catch (error) {
      this.#failed(error)
    }
    this.#again()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #again(): void {
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#look(), interval).unref()
  }

  async #look(): Promise<void> {
    try {
      const text = await readFile(this.#path, 'utf8')
      if (!this.#stopped) this.#take(text)
    } catch (error) {
      if (!this.#stopped) this.#failed(error)
    }
    this.#again()
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
    const text = `cannot use \`${this.#key}\` ${this.#path}: ${messageOf(error)}`
    if (text === this.#error) return
    this.#error = text
    this.#owner.status.set('RecoverableError', text)
    this.#owner.log.warn({ file: this.#path, error: messageOf(error) }, 'the file cannot be used; it is tried again')
  }
}
