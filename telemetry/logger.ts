/** Kymo's own log: pino behind the `Logger` that components are given, with a level per module. */
import { openSync } from 'node:fs'
import { pino } from 'pino'
import type { LogFields, Logger } from '../core/logger.ts'
import { appendFlags } from '../core/own-file.ts'
import { LogTail } from './log-tail.ts'

/** The levels of `service.telemetry.logs.level`, from the most to the least talkative. */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const

/** One of the levels above. */
export type LogLevel = (typeof logLevels)[number]

/** Repeated lines are thinned out: of equal messages within `tick` the `initial` first ones, then every `thereafter`-th. */
export interface LogSampling {
  /** Milliseconds. */
  readonly tick: number
  readonly initial: number
  /** 0 writes no further ones. */
  readonly thereafter: number
}

/** What is written, and how. */
export interface LogSettings {
  readonly level: LogLevel
  readonly encoding: 'console' | 'json'
  /** Levels of modules by name: a component's type or id, or a part of Kymo such as `service`. */
  readonly modules: Readonly<Record<string, LogLevel>>
  /** Fields on every line. */
  readonly fields?: LogFields
  readonly sampling?: LogSampling | undefined
}

/** Where lines go. */
export interface LogSink {
  write(line: string): void
  /** Writes out what waits, before the process ends. */
  flush(): void
}

/** Reads `info,otlp=debug`: a level for all, and levels of modules. Throws on anything else. */
export function parseLogLevels(text: string): { level: LogLevel | undefined; modules: Record<string, LogLevel> } {
  let level: LogLevel | undefined
  const modules: Record<string, LogLevel> = {}
  for (const part of text.split(',')) {
    const words = part.trim()
    if (words === '') continue
    const cut = words.lastIndexOf('=')
    const found = logLevels.find(
      name =>
        name ===
        words
          .slice(cut + 1)
          .trim()
          .toLowerCase(),
    )
    if (found === undefined) {
      throw new Error(`\`${words}\` is no log level; write ${logLevels.join(', ')}, or \`module=level\``)
    }
    if (cut === -1) level = found
    else modules[words.slice(0, cut).trim()] = found
  }
  return { level, modules }
}

const syncPeriod = 1000

/**
 * Writes to standard error (or another stream or file) without waiting, except in the first second, so that what goes
 * wrong at start is on the screen before the process ends.
 */
export function openSink(path = 'stderr'): LogSink {
  // Not through somebody's link, and not for everybody to read.
  const dest = path === 'stderr' ? 2 : path === 'stdout' ? 1 : openSync(path, appendFlags(path), 0o640)
  const first = pino.destination({ dest, sync: true })
  const started = performance.now()
  // A reader that stands still costs lines, never memory.
  const open = () => pino.destination({ dest, sync: false, maxLength: 1 << 20 })
  let later: ReturnType<typeof open> | undefined
  // Whoever read our lines is gone: there is nobody to tell.
  const ignore = () => {}
  first.on('error', ignore)
  return {
    write(line) {
      if (later === undefined) {
        if (performance.now() - started < syncPeriod) {
          first.write(line)
          return
        }
        later = open()
        later.on('error', ignore)
      }
      later.write(line)
    },
    flush() {
      try {
        later?.flushSync()
      } catch {
        ignore()
      }
    },
  }
}

/** Hears of every line that is written, too. */
export interface LogTap {
  line(level: LogLevel, module: string, fields: LogFields, message: string): void
}

/** What of a log can be changed and read while it is written. */
export interface LogControl {
  /** The last lines, as JSON. */
  readonly tail: LogTail
  /** Levels of modules that go before all that `setLevels` says, until others are given. */
  raise(modules: LogSettings['modules']): void
}

/** The logger of the process, whose levels can be changed while it runs. */
export interface RootLogger extends Logger, LogControl {
  setLevels(levels: Pick<LogSettings, 'level' | 'modules'>): void
}

/** A logger that writes to `sink` what `settings` ask for. */
export function createLogger(settings: LogSettings, sink: LogSink, tap?: LogTap): RootLogger {
  const { encoding, fields = {} } = settings
  const tail = new LogTail()
  const isJson = encoding === 'json'
  const destination = {
    write(line: string) {
      tail.add(line)
      sink.write(isJson ? line : consoleText(JSON.parse(line) as LogLine))
    },
  }
  const root = pino(
    {
      level: settings.level,
      base: fields,
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: label => ({ level: label }) },
      serializers: { error: (error: unknown) => (error instanceof Error ? (error.stack ?? error.message) : error) },
    },
    destination,
  )
  const sampler = settings.sampling && new Sampler(settings.sampling)
  const shared: Shared = { levels: { ...settings, raised: {} }, sampler, tap }
  return Object.assign(new ModuleLogger(root, [], fields, shared), {
    tail,
    // New values: they tell loggers that theirs may be another one.
    setLevels({ level, modules }: Pick<LogSettings, 'level' | 'modules'>) {
      shared.levels = { ...shared.levels, level, modules }
    },
    raise(raised: LogSettings['modules']) {
      shared.levels = { ...shared.levels, raised }
    },
  })
}

interface Levels extends Pick<LogSettings, 'level' | 'modules'> {
  /** They go before the others. */
  readonly raised: LogSettings['modules']
}

/** What all modules share. */
interface Shared {
  levels: Levels
  readonly sampler: Sampler | undefined
  readonly tap: LogTap | undefined
}

/** What a module is called by itself, and with all that it is part of. */
interface ModuleName {
  readonly path: string
  readonly name: string
}

/** The logger of one module. */
class ModuleLogger implements Logger {
  readonly #pino: pino.Logger
  readonly #module: string
  /** It, and what it is part of, from the outside in. */
  readonly #chain: readonly ModuleName[]
  /** On every line of this module. */
  readonly #fields: LogFields
  readonly #shared: Shared
  /** Those that its level was found in. */
  #levels: Shared['levels'] | undefined

  constructor(logger: pino.Logger, chain: readonly ModuleName[], fields: LogFields, shared: Shared) {
    this.#pino = logger
    this.#chain = chain
    this.#module = chain.at(-1)?.path ?? ''
    this.#fields = fields
    this.#shared = shared
  }

  error(fields: LogFields, message: string): void {
    this.#write('error', fields, message)
  }

  warn(fields: LogFields, message: string): void {
    this.#write('warn', fields, message)
  }

  info(fields: LogFields, message: string): void {
    this.#write('info', fields, message)
  }

  debug(fields: LogFields, message: string): void {
    this.#write('debug', fields, message)
  }

  child(module: string, fields: LogFields = {}): Logger {
    const path = this.#module === '' ? module : `${this.#module}.${module}`
    const logger = this.#pino.child(fields).child({ module: path })
    const chain = [...this.#chain, { path, name: module }]
    return new ModuleLogger(logger, chain, { ...this.#fields, ...fields }, this.#shared)
  }

  /** Finds the level again after it may have changed. */
  #look(): void {
    const { levels } = this.#shared
    if (this.#levels === levels) return
    this.#levels = levels
    this.#pino.level = levelOf(this.#chain, levels)
  }

  #write(level: LogLevel, fields: LogFields, message: string): void {
    this.#look()
    if (!this.#pino.isLevelEnabled(level)) return
    const { sampler, tap } = this.#shared
    if (sampler !== undefined && !sampler.passes(`${level} ${this.#module} ${message}`)) return
    this.#pino[level](fields, message)
    tap?.line(level, this.#module, { ...this.#fields, ...fields }, message)
  }
}

/** A component's logger is found by its place, its id, or its type; a part has the level of what it is part of. */
function levelOf(chain: readonly ModuleName[], { level, modules, raised }: Levels): LogLevel {
  return ownLevelOf(chain, raised) ?? ownLevelOf(chain, modules) ?? level
}

function ownLevelOf(chain: readonly ModuleName[], modules: LogSettings['modules']): LogLevel | undefined {
  for (const { path, name } of chain.toReversed()) {
    const [type = name] = name.split('/')
    const found = [path, name, type].find(one => Object.hasOwn(modules, one))
    const own = found === undefined ? undefined : modules[found]
    if (own !== undefined) return own
  }
  return undefined
}

/** Counts equal lines per tick. */
class Sampler {
  readonly #sampling: LogSampling
  readonly #counts = new Map<string, number>()
  #until = 0

  constructor(sampling: LogSampling) {
    this.#sampling = sampling
  }

  passes(key: string): boolean {
    const { tick, initial, thereafter } = this.#sampling
    const now = performance.now()
    if (now >= this.#until) {
      this.#counts.clear()
      this.#until = now + tick
    }
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, count)
    if (count <= initial) return true
    return thereafter > 0 && (count - initial) % thereafter === 0
  }
}

/** One line of the log, as it is set up above. */
export interface LogLine extends LogFields {
  readonly ts: string
  readonly level: string
  readonly module?: string
  readonly msg: string
}

/** A line as a person reads it: time, level, module, message, the fields; texts of several lines come below. */
export function consoleText({ ts, level, module, msg, ...fields }: LogLine): string {
  const [message, ...below] = msg.split('\n')
  const words = [ts, level.padEnd(5), ...(module === undefined ? [] : [`[${module}]`]), message]
  for (const [key, value] of Object.entries(fields)) {
    if (typeof value === 'string' && value.includes('\n')) below.push(...`${key}: ${value}`.split('\n'))
    else words.push(`${key}=${typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)}`)
  }
  return `${words.join('  ')}\n${below.map(text => `  ${text}\n`).join('')}`
}
