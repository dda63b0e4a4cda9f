/** Hashes passwords in a thread of its own, which starts with the first of them. */
import { Worker } from 'node:worker_threads'
import type { HashAnswer, HashOrder, Recipe } from './hash-thread.ts'

/** What a thread may take, in MiB. Its own data is less than one. */
const limits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }

/** How the promise of a hash ends. */
interface Settle {
  resolve(answer: HashAnswer): void
  reject(error: unknown): void
}

/** One hash at a time. */
export class Hasher {
  readonly #ended = new Int32Array(new SharedArrayBuffer(4))
  #thread: Worker | undefined
  #settle: Settle | undefined

  /**
   * The hash of `password`, and what it took. Not to be asked again before it is settled.
   * @throws what kept the thread from starting or working
   */
  hash(password: Uint8Array, recipe: Recipe): Promise<HashAnswer> {
    Atomics.store(this.#ended, 0, 0)
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
      this.#thread ??= this.#start()
      this.#thread.postMessage({ password, recipe, ended: this.#ended } satisfies HashOrder, [])
    })
  }

  /** Nobody wants the hash any more that is being made. */
  end(): void {
    Atomics.store(this.#ended, 0, 1)
  }

  /** Ends the thread, and what it is at. */
  stop(): void {
    const thread = this.#thread
    this.#thread = undefined
    void thread?.terminate()
    this.#done(settle => settle.reject(new Error('passwords are no longer checked')))
  }

  #start(): Worker {
    // It needs nothing of what the process was started with. In the bundle this address is the text of the thread itself.
    const thread = new Worker(new URL('./hash-thread.ts', import.meta.url), {
      argv: [],
      env: {},
      execArgv: [],
      name: 'passwords',
      resourceLimits: limits,
    })
    thread.unref()
    thread.on('message', (answer: HashAnswer) => this.#done(settle => settle.resolve(answer)))
    const failed = (error: unknown) => {
      if (this.#thread !== thread) return
      this.#thread = undefined
      this.#done(settle => settle.reject(error))
    }
    thread.on('error', failed)
    thread.on('exit', () => failed(new Error('the thread that hashes passwords has ended')))
    return thread
  }

  #done(how: (settle: Settle) => void): void {
    const settle = this.#settle
    this.#settle = undefined
    if (settle !== undefined) how(settle)
  }
}
