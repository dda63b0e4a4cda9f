import { waitUntil } from '../../core/clock.ts'

/** Milliseconds of waiting that need no word. */
const usual = 1000

/** Waits until there is nothing left to do, or no time. */
export class Idleness {
  #end: (() => void) | undefined

  /** Resolves when it is `reached`, or at `deadline` (milliseconds since the epoch); `tell` is called where that takes long. */
  wait(deadline: number, tell: () => void): Promise<void> {
    return new Promise(resolve => {
      const telling = setTimeout(tell, usual)
      const timer = setTimeout(() => this.#end?.(), waitUntil(deadline))
      this.#end = () => {
        clearTimeout(telling)
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
