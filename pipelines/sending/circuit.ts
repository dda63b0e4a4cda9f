import type { RetryConfig } from '../../core/sending.ts'
import { Backoff } from './backoff.ts'

/** Longest wait between two probes, in milliseconds: a destination that is back is found soon. */
const probeCap = 5000

/**
 * Whether a destination takes anything at all. Closed: attempts go out. After several failures in a row without a
 * success it opens: one probe at a time, at growing intervals, while the queue stands. Open or not, nothing goes out as long
 * as the destination asked to be left alone.
 */
export class Circuit {
  /** Failures in a row that open it. */
  readonly #threshold = 5
  readonly #backoff: Backoff
  #failures = 0
  #probeAt = 0
  /** Until when nothing is sent, as the destination asked. */
  #pausedUntil = 0
  open = false
  /** Longest wait of our own choice while nothing is taken, in milliseconds. */
  readonly longest: number

  constructor(retry: RetryConfig) {
    this.longest = Math.max(probeCap, retry.initial_interval)
    this.#backoff = new Backoff(retry)
  }

  /** Milliseconds until the next attempt may go out; 0 for now. */
  wait(now: number): number {
    return Math.max(0, (this.open ? Math.max(this.#probeAt, this.#pausedUntil) : this.#pausedUntil) - now)
  }

  /** Says whether this closed it. */
  succeeded(): boolean {
    const closed = this.open
    this.open = false
    this.#failures = 0
    this.#backoff.reset()
    return closed
  }

  /** Says whether this opened it. `isThrottled`: nothing at all is to be sent for so long. */
  failed(now: number, retryAfter: number | undefined, isThrottled = false): boolean {
    if (isThrottled) this.#pausedUntil = Math.max(this.#pausedUntil, now + (retryAfter ?? 0))
    this.#failures++
    const isOpening = !this.open && this.#failures >= this.#threshold
    if (isOpening) this.open = true
    // What the destination asked for is waited out, however long.
    if (this.open) this.#probeAt = now + Math.max(Math.min(this.#backoff.next(), this.longest), retryAfter ?? 0)
    return isOpening
  }

  /** Nothing is waited for any more, neither what we chose nor what the destination asked for. */
  skip(): void {
    this.#probeAt = 0
    this.#pausedUntil = 0
  }

  /** The destination may be back: the probe does not wait for our own back-off. */
  hurry(now: number): void {
    if (this.#probeAt > now) this.#probeAt = now
  }
}
