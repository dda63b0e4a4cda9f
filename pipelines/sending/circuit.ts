import type { RetryConfig } from '../../core/sending.ts'
import { Backoff } from './backoff.ts'

/**
 * Whether a destination takes anything at all. Closed: attempts go out. After several failures in a row without a
 * success it opens: one probe at a time, at growing intervals, while the queue stands.
 */
export class Circuit {
  /** Failures in a row that open it. */
  readonly #threshold = 5
  readonly #backoff: Backoff
  #failures = 0
  #probeAt = 0
  open = false

  constructor(retry: RetryConfig) {
    this.#backoff = new Backoff(retry)
  }

  /** Milliseconds until the next attempt may go out; 0 for now. */
  wait(now: number): number {
    return this.open ? Math.max(0, this.#probeAt - now) : 0
  }

  /** Says whether this closed it. */
  succeeded(): boolean {
    const closed = this.open
    this.open = false
    this.#failures = 0
    this.#backoff.reset()
    return closed
  }

  /** Says whether this opened it. */
  failed(now: number, retryAfter: number | undefined): boolean {
    this.#failures++
    if (this.open) {
      this.#probeAt = now + this.#backoff.next(retryAfter)
      return false
    }
    if (this.#failures < this.#threshold) return false
    this.open = true
    this.#probeAt = now + this.#backoff.next(retryAfter)
    return true
  }
}
