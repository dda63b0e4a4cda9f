import { waitUntil } from '../../core/clock.ts'

/** Waits until there is nothing left to do, or no time. */
export class Idleness {
  #end: (() => void) | undefined

  /** Resolves when it is `reached`, or at `deadline` (milliseconds since the epoch). */
  wait(deadline: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, waitUntil(deadline))
      this.#end = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** There is nothing left to do. */
  reached(): void {
    this.#end?.()
  }
}
