/** What a service keeps of what happened to it, and of its log, and the pages that tell it. */
import { Chronicle } from '../core/chronicle.ts'
import type { Clock } from '../core/clock.ts'
import type { Kind } from '../core/component.ts'
import type { RunningComponent } from '../core/health.ts'
import type { State, Status } from '../core/status.ts'
import type { LogControl } from '../telemetry/logger.ts'
import type { Deed } from './admin-pages.ts'
import type { AnyRoute } from './api.ts'
import { eventRoutes } from './event-pages.ts'
import { LogPages } from './log-pages.ts'
import { deedOccurrence, reloadOccurrence, stateOccurrence } from './occurrences.ts'
import { Query } from './query.ts'
import type { LastReload } from './reloads.ts'

/** What it is made of. */
export interface TellingParts {
  readonly version: string
  readonly clock: Clock
  /** The log, where it can be shown and changed. */
  readonly logs: LogControl | undefined
  components(): readonly RunningComponent[]
  /** Ids of storages, which tell of themselves. */
  storages(): readonly { readonly id: string }[]
}

/** The time axis of one process, and its log. */
export class Telling {
  readonly chronicle: Chronicle
  readonly #parts: TellingParts
  readonly #logs: LogPages | undefined

  constructor(parts: TellingParts) {
    const { clock, logs } = parts
    this.#parts = parts
    this.chronicle = new Chronicle(clock)
    const components = () => parts.components()
    this.#logs = logs && new LogPages({ control: logs, clock, chronicle: this.chronicle, components })
  }

  get routes(): readonly AnyRoute[] {
    return [
      ...eventRoutes(this.chronicle),
      ...(this.#logs?.routes ?? []),
      {
        path: '/v1/process',
        async answer(_, query) {
          void new Query(query, [])
          const { processDocument } = await import('./surroundings.ts')
          return processDocument()
        },
      },
    ]
  }

  starting(): void {
    const { version } = this.#parts
    const fields = { version, node: process.versions.node, pid: process.pid }
    this.chronicle.note({ kind: 'process', text: `Kymo ${version} starts`, fields })
  }

  ready(fields: { readonly milliseconds: number }): void {
    this.chronicle.note({ kind: 'process', text: 'everything is ready; taking data', fields })
  }

  /** `deadline`: milliseconds it may take. */
  stopping(deadline: number): void {
    this.chronicle.note({ kind: 'process', text: 'stopping; what is held is sent first', fields: { deadline } })
    this.#logs?.stop()
  }

  fault(): void {
    this.chronicle.note({ kind: 'process', text: 'a fault of Kymo: the log has it as INTERNAL; please report it' })
  }

  /** A component is in another state. */
  state(component: { readonly kind: Kind; readonly id: string }, status: Status, from: State): void {
    const { kind, id } = component
    const passes = status.state === 'OK' || status.state === 'RecoverableError'
    if (passes && kind === 'extension' && this.#parts.storages().some(one => one.id === id)) return
    const told = stateOccurrence(component, status, from)
    if (told !== undefined) this.chronicle.note(told)
  }

  /** Somebody reloaded. */
  reloaded(last: LastReload, hash: string): void {
    this.chronicle.note(reloadOccurrence(last, hash))
  }

  /** Somebody did something. */
  done(deed: Deed): void {
    this.chronicle.note(deedOccurrence(deed))
  }
}
