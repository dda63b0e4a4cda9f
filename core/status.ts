/** Component status, with the states and moves of the Collector (reference: component-status). */
import type { Concealed } from './concealed.ts'

/** The states a component can be in. */
export type State =
  | 'None'
  | 'Starting'
  | 'OK'
  | 'RecoverableError'
  | 'PermanentError'
  | 'FatalError'
  | 'Stopping'
  | 'Stopped'

/** States, from what needs somebody to look at it to what does not. */
export const severity: readonly State[] = [
  'FatalError',
  'PermanentError',
  'RecoverableError',
  'Stopping',
  'Starting',
  'None',
  'Stopped',
  'OK',
]

/** Whether something goes wrong in `state`, for which there is a last error to tell. */
export const isTrouble = (state: State): boolean =>
  state === 'RecoverableError' || state === 'PermanentError' || state === 'FatalError'

const moves: Record<State, readonly State[]> = {
  None: ['Starting'],
  Starting: ['OK', 'RecoverableError', 'PermanentError', 'FatalError', 'Stopping'],
  OK: ['OK', 'RecoverableError', 'PermanentError', 'FatalError', 'Stopping'],
  RecoverableError: ['OK', 'RecoverableError', 'PermanentError', 'FatalError', 'Stopping'],
  PermanentError: ['Stopping'],
  FatalError: [],
  Stopping: ['RecoverableError', 'PermanentError', 'FatalError', 'Stopped'],
  Stopped: [],
}

/** What is known of one component's health. */
export class Status {
  state: State = 'None'
  /** When the state was entered, in milliseconds since the epoch. */
  since = Date.now()
  lastError: string | undefined
  lastErrorAt: number | undefined
  /** What only a person can mend, in words of the configuration; it stands until the component works again. */
  demand: string | undefined
  readonly #onChange: ((status: Status, from: State) => void) | undefined
  readonly #concealed: Concealed | undefined

  /** `concealed` keeps values out of what is told as an error. */
  constructor(onChange?: (status: Status, from: State) => void, concealed?: Concealed) {
    this.#onChange = onChange
    this.#concealed = concealed
  }

  /** A text about the component, without what must not be told. */
  tell(text: string): string {
    return this.#concealed?.tell(text) ?? text
  }

  /** It works: nobody has to do anything any more. */
  worked(): void {
    this.demand = undefined
    this.set('OK')
  }

  /** Moves to `state` if that is a legal move, and says whether it was. */
  set(state: State, error?: string): boolean {
    if (!moves[this.state].includes(state)) return false
    if (error !== undefined) {
      this.lastError = this.tell(error)
      this.lastErrorAt = Date.now()
    }
    const from = this.state
    if (from === state) return true
    this.state = state
    this.since = Date.now()
    this.#onChange?.(this, from)
    return true
  }
}
