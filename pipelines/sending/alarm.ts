import { timerWait } from '../../core/clock.ts'

/** One timer that rings once. */
export class Alarm {
  readonly #ring: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(ring: () => void) {
    this.#ring = ring
  }

  /** Rings in `ms` milliseconds, unless it is set already. */
  set(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#ring()
    }, timerWait(ms))
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
