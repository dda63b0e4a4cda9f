/** How much room the disk of a directory has: asked when somebody wants to know, and not waited for longer than that is worth. */
import type { LogClock } from './clock.ts'
import type { FileOperations } from './files.ts'

/** Milliseconds for which an answer is good enough. */
const goodFor = 1000

/** See above. */
export class DiskRoom {
  readonly #files: Pick<FileOperations, 'free'>
  readonly #directory: string
  readonly #clock: Pick<LogClock, 'monotonic'>
  /** Bytes, as the disk said last; before that nobody knows of a limit. */
  #free = Infinity
  #askedAt = -Infinity
  #asking: Promise<void> | undefined

  constructor(files: Pick<FileOperations, 'free'>, directory: string, clock: Pick<LogClock, 'monotonic'>) {
    this.#files = files
    this.#directory = directory
    this.#clock = clock
  }

  /** Bytes that the disk had when it was asked last. An old answer makes it be asked again. */
  get free(): number {
    if (this.#clock.monotonic() - this.#askedAt >= goodFor) void this.look()
    return this.#free
  }

  /** Asks the disk. Never rejects; what it does not say stays as it was known. */
  look(): Promise<void> {
    this.#askedAt = this.#clock.monotonic()
    return (this.#asking ??= this.#ask().finally(() => (this.#asking = undefined)))
  }

  async #ask(): Promise<void> {
    try {
      this.#free = await this.#files.free(this.#directory)
    } catch {
      // A disk that does not answer is told of by whoever writes to it.
    }
  }
}
