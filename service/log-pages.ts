/** `/v1/log`: the last lines of the log, and levels that are other ones for a time. */
import type { Chronicle } from '../core/chronicle.ts'
import type { Clock, Timer } from '../core/clock.ts'
import { quoted, suggest } from '../config/nearest.ts'
import { type LogControl, type LogLevel, type LogLine, logLevels, type LogSettings } from '../telemetry/logger.ts'
import { mostLines } from '../telemetry/log-tail.ts'
import type { ActionRoute, Route } from './api.ts'
import { Query, QueryError, type RawQuery, wordsOf } from './query.ts'
import { time } from './status.ts'

/** What the log of a service is told of and shown by. */
export interface LogPagesParts {
  readonly control: LogControl
  readonly clock: Clock
  readonly chronicle: Chronicle
  /** Components of the running configuration. */
  components(): readonly { readonly id: string; readonly type: string }[]
}

/** Levels that are other ones at a time, and how long one may last: milliseconds. */
const mostRaised = 16
const longest = 24 * 3_600_000
const usual = 600_000
/** Parts of Kymo that have a level of their own, besides components. */
const ownParts = ['service', 'process', 'reload', 'tap', 'replay', 'telemetry']

/** The level of one module, for a time. */
interface Raised {
  readonly level: LogLevel
  /** Milliseconds since the epoch. */
  readonly until: number
  readonly timer: Timer
}

/** One line of the log as `/v1/log` tells it. */
export interface LogLineDocument {
  /** The first that was ever written is 1. */
  readonly number: number
  readonly line: LogLine
}
/** The last lines of it, likewise. */
export type LogDocument = ReturnType<LogPages['list']>
/** A level that is another one for a time, likewise. */
export type RaisedDocument = ReturnType<LogPages['raised']>[number]

/** The log of one process, as it is shown and changed while it runs. */
export class LogPages {
  readonly #parts: LogPagesParts
  readonly #raised = new Map<string, Raised>()

  constructor(parts: LogPagesParts) {
    this.#parts = parts
  }

  get routes(): readonly (Route | ActionRoute)[] {
    return [
      { path: '/v1/log', answer: (_, query) => this.list(query) },
      { path: '/v1/log/level', deed: false, act: (body, by) => this.#change(wordsOf(body), by) },
    ]
  }

  /** No level is given back any more. */
  stop(): void {
    for (const { timer } of this.#raised.values()) timer.cancel()
    this.#raised.clear()
  }

  /** The newest lines, the newest last. */
  list(raw: RawQuery) {
    const query = new Query(raw, ['since', 'level', 'component', 'after', 'limit'])
    const limit = query.count('limit', mostLines, 100)
    const since = query.time('since') ?? -Infinity
    const after = query.count('after', Number.MAX_SAFE_INTEGER, 0)
    const least = logLevels.indexOf(query.word('level', logLevels, 'level') ?? 'debug')
    const component = query.text('component')
    const { tail } = this.#parts.control
    const lines: LogLineDocument[] = []
    for (const [number, text] of tail.newestFirst()) {
      if (number <= after || lines.length > limit) break
      const line = JSON.parse(text) as LogLine
      if (logLevels.findIndex(one => one === line.level) < least || Date.parse(line.ts) < since) continue
      if (component === undefined || isAbout(line, component)) lines.push({ number, line })
    }
    const more = lines.length > limit
    return {
      /** The newest last. */
      lines: lines.slice(0, limit).toReversed(),
      ...(more ? { more } : {}),
      /** What to ask for as `after` to hear only of what comes from here on; and how many lines are kept. */
      newest: tail.written,
      kept: tail.size,
      raised: this.raised(),
    }
  }

  /** Levels that are other ones for a time. */
  raised() {
    return Array.from(this.#raised, ([component, { level, until }]) => ({ component, level, until: time(until) }))
  }

  #change(raw: RawQuery, by: string): object {
    const query = new Query(raw, ['component', 'level', 'for'])
    const component = query.text('component')
    if (component === undefined) throw new QueryError(400, 'say of what with `component`')
    const words = [...logLevels, 'configured'] as const
    const level = query.word('level', words, 'level')
    if (level === undefined) throw new QueryError(400, 'say which with `level`', quoted(words))
    const length = query.duration('for') ?? usual
    if (level === 'configured') {
      if (!this.#raised.has(component)) {
        const raised = [...this.#raised.keys()]
        const hint = raised.length === 0 ? undefined : suggest(component, raised, `for a time: ${quoted(raised)}`)
        throw new QueryError(404, `the level of \`${component}\` is the configured one`, hint)
      }
      this.#giveBack(component, by)
    } else this.#raise(component, { level, length, by })
    return { component, level, raised: this.raised() }
  }

  #raise(component: string, { level, length, by }: { level: LogLevel; length: number; by: string }): void {
    if (length < 1000 || length > longest) throw new QueryError(400, 'a level is changed for 1s to 24h')
    this.#demandKnown(component)
    const { clock, chronicle } = this.#parts
    const before = this.#raised.get(component)
    if (before === undefined && this.#raised.size >= mostRaised) {
      const hint = `give one back: ${quoted([...this.#raised.keys()])}`
      throw new QueryError(409, `${mostRaised} levels are changed already`, hint)
    }
    before?.timer.cancel()
    const timer = clock.after(length, () => this.#giveBack(component))
    const until = clock.wall() + length
    this.#raised.set(component, { level, until, timer })
    this.#apply()
    const fields = { level, until: time(until), by }
    chronicle.note({ kind: 'log', component, text: `the log level is ${level}, for a time`, fields })
  }

  /** Whatever the configuration says by now. `by`: who wanted it before the time was over. */
  #giveBack(component: string, by?: string): void {
    this.#raised.get(component)?.timer.cancel()
    this.#raised.delete(component)
    this.#apply()
    const text = 'the log level is the configured one again'
    this.#parts.chronicle.note({ kind: 'log', component, text, ...(by === undefined ? {} : { fields: { by } }) })
  }

  #apply(): void {
    const modules: LogSettings['modules'] = Object.fromEntries(
      Array.from(this.#raised, ([component, { level }]) => [component, level]),
    )
    this.#parts.control.raise(modules)
  }

  #demandKnown(component: string): void {
    const known = [...new Set([...this.#parts.components().flatMap(({ id, type }) => [id, type]), ...ownParts])]
    if (known.includes(component)) return
    const hint = suggest(component, known, `there are: ${quoted(known)}`)
    throw new QueryError(404, `nothing here is called \`${component}\``, hint)
  }
}

/** Whether a line is of a component, of one of its type, of a part of it, or of the service about it. */
function isAbout({ module = '', id }: LogLine, component: string): boolean {
  if (id === component) return true
  const [type] = typeof id === 'string' ? id.split('/') : []
  return type === component || `.${module}.`.includes(`.${component}.`) || `.${module}`.includes(`.${component}/`)
}
