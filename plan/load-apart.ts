/**
 * Reading a configuration in a thread of its own, so that a process that moves data goes on doing so. What comes over is
 * the checked configuration, in pieces that are asked for one by one: taking in all of it at once would hold data, too.
 */
import { once } from 'node:events'
import { type MessagePort, parentPort, Worker, workerData } from 'node:worker_threads'
import { Concealed } from '../core/concealed.ts'
import type { Kind } from '../core/component.ts'
import type { Use } from '../core/capability.ts'
import type { Configured, ConfiguredComponent } from '../core/configured.ts'
import { type Code, ConfigError, InternalError, messageOf, type Position } from '../core/errors.ts'
import { Secret } from '../core/fields.ts'
import { type Listed, loadNamed } from '../core/listed.ts'
import type { TelemetryConfig } from '../telemetry/config.ts'
import { kinds } from '../config/components.ts'
import { ConfigErrors, type ListedOptions, type Loaded } from '../config/load.ts'
import { TooMuch } from '../config/limits.ts'
import { readText } from '../config/sources.ts'
import { loadListedPlan } from './load.ts'

/** What is taken over of a configuration that is loaded while another one runs. */
export type LoadedApart = Omit<Loaded, 'root' | 'document'>

/** What can be told to a thread of what is to be read. */
export type ApartOptions = Omit<ListedOptions, 'components' | 'readFile' | 'most'>

/** Told of a file that is read, and what was in it. */
export type NoteRead = (path: string, text: string) => void

/** How it is read. */
export interface Apart {
  /** The components of this build. */
  readonly components: readonly Listed[]
  /** The module that calls `serveLoad` in a thread. */
  readonly entry: URL
  /** Told of every file that is read. */
  readonly note?: NoteRead | undefined
}

/** Characters that are read at once, in some milliseconds: starting a thread takes longer. */
const atOnce = 4 * 1024
/** Milliseconds after which nothing is to be expected any more. */
const patience = 60_000
/** Values in one piece. */
const pieceSize = 2000
/**
 * Megabytes: a small young generation, because what is made lives until the end, and what the largest configurations take
 * that mean something (24,000 keys, 10,000 errors: under 128). Others are refused, not read at the cost of the data.
 */
export const resourceLimits = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 160 }
const mark = 'kymo: load a configuration'

/**
 * Reads a configuration: a small one here, any other in a thread.
 * @throws ConfigErrors with everything that is wrong with it
 */
export async function loadApart(options: ApartOptions, apart: Apart): Promise<LoadedApart> {
  const { components, note } = apart
  try {
    return await loadListedPlan({
      ...options,
      components,
      readFile: noting(note),
      most: mayStart() ? atOnce : undefined,
    })
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error
  }
  const { env = process.env } = options
  const worker = new Worker(apart.entry, {
    resourceLimits,
    workerData: { mark, options: { ...options, env: { ...env } } },
  })
  try {
    return await received(worker, apart)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_OUT_OF_MEMORY') throw error
    const { maxOldGenerationSizeMb: heap } = resourceLimits
    throw new Error(`reading the configuration takes more than ${heap} MiB of memory; make it smaller`, {
      cause: error,
    })
  } finally {
    await worker.terminate()
  }
}

/** Whether threads may be started: Node's permission model forbids them unless told otherwise. Then all is read here. */
export function mayStart(): boolean {
  const { permission } = process as { permission?: NodeJS.ProcessPermission }
  return permission?.has('worker') ?? true
}

function noting(note: NoteRead | undefined): (path: string) => string {
  return path => {
    let text = ''
    try {
      text = readText(path)
      return text
    } finally {
      // What cannot be read is one of its files, too.
      note?.(path, text)
    }
  }
}

/** An error or warning as it goes from thread to thread. */
interface Told {
  readonly code: Code
  readonly message: string
  readonly position: Position | undefined
  readonly snippet: string | undefined
  readonly hint: string | undefined
}

/** A component, likewise. */
interface Sent {
  readonly kind: Kind
  readonly id: string
  readonly type: string
  readonly config: unknown
  readonly concealed: readonly (readonly [string, string])[]
  readonly uses: readonly Use[]
}

type Rest = Pick<Configured, 'started' | 'pipelines'> &
  Pick<Loaded, 'hash' | 'notes'> & { readonly telemetry: unknown; readonly warnings: readonly Told[] }

type Piece =
  | { readonly what: 'file'; readonly path: string; readonly text: string }
  | { readonly what: 'concealed'; readonly concealed: Sent['concealed'] }
  | { readonly what: 'components'; readonly components: readonly Sent[] }
  | { readonly what: 'end'; readonly rest: Rest }
  | {
      readonly what: 'wrong'
      readonly errors: readonly Told[]
      readonly warnings: readonly Told[]
      readonly total: number
    }
  | { readonly what: 'failed'; readonly message: string }

/** In the thread: reads what it was started for, and hands it over. False when it was started for something else. */
export function serveLoad(components: readonly Listed[]): boolean {
  const data = workerData as { mark?: unknown; options?: ApartOptions } | null
  if (data?.mark !== mark || data.options === undefined || parentPort === null) return false
  const pieces = piecesOf({ ...data.options, components })
  const port: MessagePort = parentPort
  port.on('message', () => {
    void pieces.next().then(({ value, done }) => {
      if (done !== true) port.postMessage(value)
    })
  })
  return true
}

async function* piecesOf(options: ListedOptions): AsyncGenerator<Piece, undefined> {
  const files = new Map<string, string>()
  let last: Piece
  let loaded: Loaded | undefined
  try {
    loaded = await loadListedPlan({ ...options, readFile: noting((path, text) => files.set(path, text)) })
    last = { what: 'end', rest: restOf(loaded) }
  } catch (error) {
    last =
      error instanceof ConfigErrors
        ? { what: 'wrong', errors: error.errors.map(toldOf), warnings: error.warnings.map(toldOf), total: error.total }
        : { what: 'failed', message: messageOf(error) }
  }
  for (const [path, text] of files) yield { what: 'file', path, text }
  if (loaded !== undefined) yield* componentsOf(loaded.configured)
  yield last
}

function restOf({ configured, telemetry, warnings, hash, notes }: Loaded): Rest {
  const { started, pipelines } = configured
  return { started, pipelines, hash, notes, telemetry: sendable(telemetry).value, warnings: warnings.map(toldOf) }
}

function* componentsOf(configured: Configured): Generator<Piece> {
  let waiting: Sent[] = []
  let size = 0
  for (const kind of kinds) {
    for (const { id, definition, config, concealed, uses } of configured[`${kind}s`].values()) {
      const { value, count } = sendable(config)
      let values = concealed?.values ?? []
      if (values.length > pieceSize) {
        yield { what: 'components', components: waiting.splice(0) }
        for (; values.length > pieceSize; values = values.slice(pieceSize))
          yield { what: 'concealed', concealed: values.slice(0, pieceSize) }
      }
      waiting.push({ kind, id, type: definition.type, config: value, concealed: values, uses })
      size += count
      if (size < pieceSize) continue
      yield { what: 'components', components: waiting }
      waiting = []
      size = 0
    }
  }
  yield { what: 'components', components: waiting }
}

function toldOf({ code, message, position, snippet, hint }: ConfigError): Told {
  return { code, message, position, snippet, hint }
}

/** In front of texts that are sent for secrets, and of others that begin alike: an object for each secret costs twice the time. */
const marks = { secret: '\0s', text: '\0t' } as const

/** A checked value as it can be sent, and of how many it is made: plain values, and secrets. */
export function sendable(given: unknown): { value: unknown; count: number } {
  let count = 0
  const made = (value: unknown): unknown => {
    count++
    if (typeof value === 'function' || typeof value === 'symbol') throw new InternalError('a configuration is no data')
    if (typeof value === 'string') return value.startsWith('\0') ? `${marks.text}${value}` : value
    if (typeof value !== 'object' || value === null) return value
    if (value instanceof Secret) return `${marks.secret}${value.reveal()}`
    if (Array.isArray(value)) return value.map(made)
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== Object.prototype && prototype !== null)
      throw new InternalError('a configuration is no plain data')
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, made(inner)]))
  }
  return { value: made(given), count }
}

/** What was sent, as it was; in place, because it may be large. */
function restored(value: unknown): unknown {
  if (typeof value === 'string') {
    if (!value.startsWith('\0')) return value
    return value.startsWith(marks.secret) ? new Secret(value.slice(2)) : value.slice(2)
  }
  if (typeof value !== 'object' || value === null) return value
  const record = value as Record<string, unknown>
  for (const key of Object.keys(record)) {
    const inner = record[key]
    const made = restored(inner)
    if (made !== inner) record[key] = made
  }
  return value
}

/** Here: takes it in, piece by piece. */
async function received(worker: Worker, { components, note }: Apart): Promise<LoadedApart> {
  const made = new Map(kinds.map(kind => [kind, new Map<string, ConfiguredComponent>()]))
  // Of the component that comes next.
  let values: Sent['concealed'] = []
  for (;;) {
    const piece = await nextOf(worker)
    switch (piece.what) {
      case 'file':
        note?.(piece.path, piece.text)
        break
      case 'concealed':
        values = [...values, ...piece.concealed]
        break
      case 'components':
        for (const { kind, id, type, config, concealed, uses } of piece.components) {
          const [definition] = await loadNamed(components, [{ kind, type }])
          if (definition === undefined) throw new InternalError(`a thread knows the ${kind} ${type}, which is not here`)
          const component = {
            id,
            definition,
            config: restored(config),
            concealed: new Concealed([...values, ...concealed]),
            uses,
          }
          values = []
          made.get(kind)?.set(id, component)
        }
        break
      case 'wrong':
        throw new ConfigErrors(piece.errors.map(errorOf), piece.warnings.map(errorOf), piece.total)
      case 'failed':
        throw new Error(piece.message)
      case 'end':
        return whole(piece.rest, made)
    }
  }
}

const errorOf = ({ code, message, ...where }: Told) => new ConfigError(code, message, where)

function whole(rest: Rest, made: ReadonlyMap<Kind, ReadonlyMap<string, ConfiguredComponent>>): LoadedApart {
  const { started, pipelines, telemetry, warnings, hash, notes } = rest
  // Each map has the components of its kind, which the compiler does not follow through the map of maps.
  const of = <K extends Kind>(kind: K) => (made.get(kind) ?? new Map()) as ReadonlyMap<string, ConfiguredComponent<K>>
  const configured = {
    receivers: of('receiver'),
    processors: of('processor'),
    exporters: of('exporter'),
    connectors: of('connector'),
    extensions: of('extension'),
    started,
    pipelines,
  }
  return { configured, telemetry: restored(telemetry) as TelemetryConfig, warnings: warnings.map(errorOf), hash, notes }
}

/** Asks for the next piece. */
async function nextOf(worker: Worker): Promise<Piece> {
  const waiting = new AbortController()
  const { signal } = waiting
  const timeout = AbortSignal.timeout(patience)
  try {
    const ended = once(worker, 'exit', { signal }).then(() => {
      throw new Error('the thread that reads the configuration has ended')
    })
    // An error of the thread ends the wait for its message, too.
    const message = once(worker, 'message', { signal: AbortSignal.any([signal, timeout]) })
    // eslint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    worker.postMessage('next')
    const [piece] = (await Promise.race([message, ended])) as [Piece]
    return piece
  } catch (error) {
    if (!timeout.aborted) throw error
    throw new Error(`the configuration was not read within ${patience} ms`, { cause: error })
  } finally {
    waiting.abort()
  }
}
