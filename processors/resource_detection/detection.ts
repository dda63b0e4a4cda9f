import type { Clock, Timer } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { Status } from '../../core/status.ts'
import type { DetectedAttributes, Detected, Detector } from './detector.ts'

/** Shortest and longest wait, in milliseconds, before a detector that failed is asked again. */
const waits = { min: 1000, max: 60_000 }

/** What a detection runs with. Times are in milliseconds. */
export interface DetectionParts {
  readonly detectors: readonly Detector[]
  readonly timeout: number
  /** How often all are asked again; 0 for never. */
  readonly refresh: number
  readonly clock: Clock
  readonly log: Logger
  readonly status: Status
  /** Hears of what was found: first when all have answered or the time is up, then whenever there is more. */
  onFound(attributes: DetectedAttributes): void
}

/** What is known of one detector. */
interface Asked {
  readonly detector: Detector
  attributes: DetectedAttributes
  problem: string | undefined
  answered: boolean
  wait: number
}

/** Asks detectors, again and again those that fail, and puts together what they find: the first one that has a name wins. */
export class Detection {
  readonly #parts: DetectionParts
  readonly #asked: readonly Asked[]
  readonly #abort = new AbortController()
  readonly #timers = new Set<Timer>()
  #ready = false
  #told = ''

  constructor(parts: DetectionParts) {
    this.#parts = parts
    this.#asked = parts.detectors.map(detector => ({
      detector,
      attributes: new Map(),
      problem: undefined,
      answered: false,
      wait: waits.min,
    }))
  }

  /** Asks all. Those that answer at once have done so when this returns. */
  start(): void {
    for (const one of this.#asked) this.#ask(one)
    if (!this.#ready) this.#after(this.#parts.timeout, () => this.#settle())
    const { refresh } = this.#parts
    if (refresh > 0) this.#after(refresh, () => this.#refresh())
  }

  stop(): void {
    this.#abort.abort()
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
  }

  /** What was found so far. */
  get found(): DetectedAttributes {
    const all = new Map<string, ReturnType<DetectedAttributes['get']>>()
    for (const { attributes } of this.#asked) {
      for (const [name, value] of attributes) if (!all.has(name)) all.set(name, value)
    }
    return all
  }

  #refresh(): void {
    for (const one of this.#asked) if (one.problem === undefined) this.#ask(one)
    this.#after(this.#parts.refresh, () => this.#refresh())
  }

  #ask(one: Asked): void {
    const late = new AbortController()
    const timer = this.#after(this.#parts.timeout, () => late.abort(new Error('took too long')))
    const done = (): void => {
      timer.cancel()
      this.#timers.delete(timer)
    }
    try {
      const answer = one.detector.detect(AbortSignal.any([this.#abort.signal, late.signal]))
      if (!(answer instanceof Promise)) {
        done()
        this.#answered(one, answer)
        return
      }
      answer.finally(done).then(
        detected => this.#answered(one, detected),
        (error: unknown) => this.#failed(one, error, late.signal),
      )
    } catch (error) {
      done()
      this.#failed(one, error, late.signal)
    }
  }

  #failed(one: Asked, error: unknown, late: AbortSignal): void {
    const why = late.aborted ? `no answer within ${this.#parts.timeout}ms` : messageOf(error)
    // What it found before still holds.
    this.#answered(one, { attributes: one.attributes, problem: why })
  }

  #answered(one: Asked, { attributes, problem }: Detected): void {
    if (this.#abort.signal.aborted) return
    one.attributes = attributes
    one.answered = true
    if (problem === undefined) one.wait = waits.min
    else {
      if (one.problem !== problem)
        this.#parts.log.warn({ detector: one.detector.name, error: problem }, 'detection failed')
      this.#after(one.wait, () => this.#ask(one))
      one.wait = Math.min(one.wait * 2, waits.max)
    }
    one.problem = problem
    if (this.#ready || this.#asked.every(({ answered }) => answered)) this.#settle()
  }

  #settle(): void {
    this.#ready = true
    const { found } = this
    this.#report()
    const told = JSON.stringify([...found])
    if (told === this.#told) return
    this.#told = told
    this.#parts.onFound(found)
  }

  /** In a microtask: while a step is being started its status cannot be set. */
  #report(): void {
    queueMicrotask(() => {
      if (this.#abort.signal.aborted) return
      const problems = this.#asked.flatMap(({ detector: { name }, problem, answered }) => {
        if (!answered) return [`${name}: no answer yet`]
        return problem === undefined ? [] : [`${name}: ${problem}`]
      })
      if (problems.length === 0) this.#parts.status.set('OK')
      else this.#parts.status.set('RecoverableError', problems.join('; '))
    })
  }

  #after(wait: number, then: () => void): Timer {
    const timer = this.#parts.clock.after(wait, () => {
      this.#timers.delete(timer)
      then()
    })
    this.#timers.add(timer)
    return timer
  }
}
