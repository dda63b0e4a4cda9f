/** Finding out whether a destination would take data, one step after the other: what exporters and whoever asks them share. */
import type { Signal } from '../proto/signals.ts'
import { Batch } from './batch.ts'
import type { Cancellation } from './cancellation.ts'

/** What a step has found. */
export interface CheckFinding {
  /** In a line, for people: no secrets. */
  readonly text: string
  /** It works, but should be looked at. */
  readonly isWarning?: boolean
  readonly hint?: string | undefined
  /** The same for programs, as JSON: snake_case, no secrets. */
  readonly facts?: Readonly<Record<string, unknown>>
}

/** Why a step does not hold. The message is for people. */
export class CheckFailure extends Error {
  override name = 'CheckFailure'
  readonly hint: string | undefined
  readonly facts: CheckFinding['facts']

  constructor(message: string, hint?: string, facts?: CheckFinding['facts']) {
    super(message)
    this.hint = hint
    this.facts = facts
  }
}

/** How steps are taken, timed and told. */
export interface CheckSteps {
  /** Takes one. Resolves to what it found; undefined where it threw or took too long, which is told, and cancels it. */
  take<F extends CheckFinding>(
    step: string,
    work: (cancellation: Cancellation) => F | Promise<F>,
  ): Promise<F | undefined>
}

/** One destination of an exporter. */
export interface Checkable {
  /** As it is written, without what might be secret in it. */
  readonly endpoint: string
  readonly signals: readonly Signal[]
  /** Takes the steps, as far as there is a use in going on. */
  check(steps: CheckSteps): Promise<void>
}

/** A batch without data, as nobody sent it. */
export function emptyBatch(signal: Signal): Batch {
  const origin = { receiver: '', transport: '', peer: undefined, metadata: undefined, auth: undefined }
  return new Batch(signal, [], 0, origin, [])
}
