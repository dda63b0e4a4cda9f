/** What was found wrong with a configuration, collected over all stages so that it is told at once. */
import type { Concealed } from '../core/concealed.ts'
import { type Code, ConfigError } from '../core/errors.ts'
import { limits } from './limits.ts'
import { comparePlaces, positionOf, type Place } from './place.ts'
import { snippetOf } from './render.ts'

/** One thing found, before it is put into words for the user. */
export interface ConfigFault {
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
  /** How many errors there are; not all of very many are told. */
  readonly total: number

  constructor(errors: readonly ConfigError[], warnings: readonly ConfigError[] = [], total = errors.length) {
    super(errors.map(error => error.message).join('\n'))
    this.errors = errors
    this.warnings = warnings
    this.total = total
  }
}

/** Collects errors and warnings. */
export class Report {
  readonly #errors = new Map<string, ConfigFault>()
  readonly #warnings = new Map<string, ConfigFault>()
  /** Keeps values out of the warnings that components' own words are part of. */
  concealed: Concealed | undefined

  error(code: Code, place: Place | undefined, message: string, hint?: string): void {
    add(this.#errors, { code, message, place, hint })
  }

  warn(code: Code, place: Place | undefined, message: string, hint?: string): void {
    add(this.#warnings, { code, message: this.concealed?.tell(message) ?? message, place, hint })
  }

  get failed(): boolean {
    return this.#errors.size > 0
  }

  /** Whether there are more errors than are told: no more need be known of those that come. */
  get isFull(): boolean {
    return this.#errors.size >= limits.told
  }

  /** Everything that is wrong, to be thrown. */
  asErrors(secrets: readonly Place[]): ConfigErrors {
    return new ConfigErrors(this.errors(secrets), this.warnings(secrets), this.#errors.size)
  }

  /** The errors in the order of their places; `secrets` are blacked out of the snippets. */
  errors(secrets: readonly Place[]): ConfigError[] {
    return inOrder(this.#errors, secrets, 'errors')
  }

  /** The warnings, likewise. */
  warnings(secrets: readonly Place[]): ConfigError[] {
    return inOrder(this.#warnings, secrets, 'warnings')
  }
}

/** An anchor used twice would otherwise tell its faults twice. */
function add(faults: Map<string, ConfigFault>, fault: ConfigFault): void {
  const { message, place } = fault
  const key = place === undefined ? message : `${place.source.order} ${place.start} ${message}`
  if (!faults.has(key)) faults.set(key, fault)
}

function inOrder(faults: ReadonlyMap<string, ConfigFault>, secrets: readonly Place[], what: string): ConfigError[] {
  const all = [...faults.values()].toSorted((a, b) => comparePlaces(a.place, b.place))
  const bySource = Map.groupBy(secrets, ({ source }) => source)
  const told = all.slice(0, limits.told).map(({ code, message, place, hint }) => {
    if (place === undefined) return new ConfigError(code, message, { hint })
    return new ConfigError(code, message, {
      position: positionOf(place),
      snippet: snippetOf(place, bySource.get(place.source) ?? []),
      hint,
    })
  })
  const [next, ...rest] = all.slice(limits.told)
  if (next !== undefined)
    told.push(new ConfigError(next.code, `and ${rest.length + 1} more ${what}, which are not told`))
  return told
}
