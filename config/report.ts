/** What was found wrong with a configuration, collected over all stages so that it is told at once. */
import { type Code, ConfigError } from '../core/errors.ts'
import { comparePlaces, positionOf, type Place } from './place.ts'
import { snippetOf } from './render.ts'

/** One thing found, before it is put into words for the user. */
export interface Fault {
  readonly code: Code
  readonly message: string
  readonly place: Place | undefined
  readonly hint: string | undefined
}

/** Every error of one configuration, with the warnings, which may hold the cause of an error. */
export class ConfigErrors extends Error {
  override name = 'ConfigErrors'
  readonly errors: readonly ConfigError[]
  readonly warnings: readonly ConfigError[]

  constructor(errors: readonly ConfigError[], warnings: readonly ConfigError[] = []) {
    super(errors.map(error => error.message).join('\n'))
    this.errors = errors
    this.warnings = warnings
  }
}

/** Collects errors and warnings. */
export class Report {
  readonly #errors: Fault[] = []
  readonly #warnings: Fault[] = []

  error(code: Code, place: Place | undefined, message: string, hint?: string): void {
    add(this.#errors, { code, message, place, hint })
  }

  warn(code: Code, place: Place | undefined, message: string, hint?: string): void {
    add(this.#warnings, { code, message, place, hint })
  }

  get failed(): boolean {
    return this.#errors.length > 0
  }

  /** The errors in the order of their places; `secrets` are blacked out of the snippets. */
  errors(secrets: readonly Place[]): ConfigError[] {
    return inOrder(this.#errors, secrets)
  }

  /** The warnings, likewise. */
  warnings(secrets: readonly Place[]): ConfigError[] {
    return inOrder(this.#warnings, secrets)
  }
}

/** An anchor used twice would otherwise tell its faults twice. */
function add(faults: Fault[], fault: Fault): void {
  const same = (other: Fault) => other.message === fault.message && comparePlaces(other.place, fault.place) === 0
  if (!faults.some(same)) faults.push(fault)
}

function inOrder(faults: readonly Fault[], secrets: readonly Place[]): ConfigError[] {
  return faults
    .toSorted((a, b) => comparePlaces(a.place, b.place))
    .map(({ code, message, place, hint }) => {
      if (place === undefined) return new ConfigError(code, message, { hint })
      return new ConfigError(code, message, {
        position: positionOf(place),
        snippet: snippetOf(place, secrets),
        hint,
      })
    })
}
