/** Sees when files of a configuration change, by what is in them: editors and Kubernetes put new files under old names. */
import { createHash } from 'node:crypto'
import { type FSWatcher, watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'

export interface ConfigWatchOptions {
  /** The files, asked for each time. */
  files(): Iterable<string>
  /** They have changed, and stand still again. Says whether that was taken up; if not, it is told again later. */
  onChange(): Promise<boolean>
  /** Looking failed, which is a fault of ours; it goes on. */
  onFault(error: unknown): void
  /** Milliseconds in which nothing changes before it is told. */
  readonly settle?: number
  /** Milliseconds between two looks where nobody says that something has changed. */
  readonly interval?: number
}

/** Watches from `start` to `stop`. */
export class ConfigWatch {
  readonly #options: ConfigWatchOptions
  readonly #settle: number
  readonly #interval: number
  readonly #watchers = new Map<string, FSWatcher>()
  #timer: NodeJS.Timeout | undefined
  /** What was there when it was last told, and at the last look. */
  #told = ''
  #seen = ''
  #isLooking = false
  #isStopped = false

  constructor(options: ConfigWatchOptions) {
    this.#options = options
    this.#settle = options.settle ?? 250
    this.#interval = options.interval ?? 2000
  }

  /** What is in the files now is known. */
  async start(): Promise<void> {
    this.#told = this.#seen = await this.#read()
    this.#attend()
    this.#lookIn(this.#interval)
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  #lookIn(milliseconds: number): void {
    clearTimeout(this.#timer)
    if (!this.#isStopped) this.#timer = setTimeout(() => void this.#look(), milliseconds).unref()
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    let isMoving = false
    try {
      const now = await this.#read()
      isMoving = now !== this.#seen
      this.#seen = now
      if (!this.#isStopped && !isMoving && now !== this.#told) {
        if (await this.#options.onChange()) this.#told = now
      }
    } catch (error) {
      this.#options.onFault(error)
    }
    this.#isLooking = false
    if (this.#isStopped) return
    this.#attend()
    this.#lookIn(isMoving ? this.#settle : this.#interval)
  }

  /** Names and contents of all files, as one text to compare. */
  async #read(): Promise<string> {
    const hash = createHash('sha256')
    for (const file of [...new Set(this.#options.files())].toSorted()) {
      const content = await readFile(file).catch(() => undefined)
      hash.update(`${file}\0${content === undefined ? 'missing' : content.length}\0`)
      if (content !== undefined) hash.update(content)
    }
    return hash.digest('hex')
  }

  /** Lets the system say when something changes in the folders; where it cannot, looking now and then does. */
  #attend(): void {
    const folders = new Set([...this.#options.files()].map(file => dirname(file)))
    for (const [folder, watcher] of this.#watchers) {
      if (folders.has(folder)) continue
      watcher.close()
      this.#watchers.delete(folder)
    }
    for (const folder of folders) {
      if (this.#watchers.has(folder)) continue
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#lookIn(this.#settle / 5))
        watcher.on('error', () => {
          watcher.close()
          this.#watchers.delete(folder)
        })
        this.#watchers.set(folder, watcher)
      } catch {
        // No such folder, or no more watches to be had.
      }
    }
  }
}
