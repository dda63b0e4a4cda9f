/** That senders are asked to come again, because there is no room for what they send: since when, for want of what, how many. */
import type { Chronicle } from './chronicle.ts'
import type { Clock, Timer } from './clock.ts'
import type { Logger } from './logger.ts'

/** Milliseconds without a refusal after which it is over, between two looks, and between two lines of the log. */
export const overAfter = 30_000
const lookEvery = 5000
const lineEvery = 60_000
/** Causes that are told apart. */
const mostCauses = 5
const other = 'there is no room for what they send, for further reasons'

/** One cause, and what came of it. Times are milliseconds since the epoch. */
export interface Shortage {
  /** As senders hear it: `the queue of exporter otlp_grpc/backend is full`. */
  readonly cause: string
  readonly since: number
  readonly last: number
  /** Requests that were refused for it. */
  readonly requests: number
}

interface Running {
  readonly cause: string
  readonly since: number
  last: number
  requests: number
  /** By the clock: the last refusal, and the last line of the log with what it counted. */
  heardAt: number
  toldAt: number
  told: number
}

/** All causes for which senders are refused now: a line of the log when it begins, one a minute, one when it ends. */
export class Shortages {
  readonly #clock: Clock
  readonly #log: Logger | undefined
  readonly #chronicle: Chronicle | undefined
  readonly #running = new Map<string, Running>()
  #timer: Timer | undefined

  constructor(clock: Clock, log?: Logger, chronicle?: Chronicle) {
    this.#clock = clock
    this.#log = log
    this.#chronicle = chronicle
  }

  /** A request was refused for want of room. */
  refused(cause: string): void {
    let running = this.#running.get(cause)
    if (running === undefined && this.#running.size >= mostCauses) {
      if (cause !== other) return this.refused(other)
    }
    const now = this.#clock.now()
    const wall = this.#clock.wall()
    if (running === undefined) {
      running = { cause, since: wall, last: wall, requests: 0, heardAt: now, toldAt: now, told: 0 }
      this.#running.set(cause, running)
      this.#timer ??= this.#clock.every(lookEvery, () => this.#look())
      this.#log?.warn({ cause }, `senders are refused: ${cause}; \`kymo senders\` tells which`)
      this.#chronicle?.note({ kind: 'refusal', text: `senders are refused: ${cause}` })
    }
    running.requests++
    running.heardAt = now
    running.last = wall
  }

  /** What goes on now. */
  list(): Shortage[] {
    return Array.from(this.#running.values(), ({ cause, since, last, requests }) => ({ cause, since, last, requests }))
  }

  /** Nothing is told any more. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#running.clear()
  }

  #look(): void {
    const now = this.#clock.now()
    for (const running of this.#running.values()) {
      const { cause, requests, since, last } = running
      const seconds = Math.round((last - since) / 1000)
      if (now - running.heardAt >= overAfter) {
        this.#running.delete(cause)
        this.#log?.info({ cause, requests, seconds }, `senders are no longer refused: it was that ${cause}`)
        const text = `senders are no longer refused: it was that ${cause}`
        this.#chronicle?.note({ kind: 'refusal', text, fields: { requests, seconds } })
      } else if (now - running.toldAt >= lineEvery) {
        const lately = requests - running.told
        this.#log?.warn({ cause, requests, lately, seconds }, `senders are still refused: ${cause}`)
        running.toldAt = now
        running.told = requests
      }
    }
    if (this.#running.size === 0) this.close()
  }
}
