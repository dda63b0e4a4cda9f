/**
 * What Kymo tells about itself, for whoever takes it: the receiver `internal`, or an OTLP backend of `service.telemetry`.
 * Nobody waits for it, and while nobody takes it, it costs nothing.
 */
import { HostKey } from '../core/host.ts'
import type { LogFields } from '../core/logger.ts'
import type { Signal } from '../proto/signals.ts'
import type { Attributes } from '../proto/metric-write.ts'
import { encodeLogRecord, encodeRequest, encodeSpan, type OwnSpan } from './otlp-write.ts'
import type { LogTap } from './logger.ts'

/** Module of what tells about the telling; nobody is told of its lines, or there would be no end. */
export const ownModule = 'telemetry'

/** Takes one encoded item. Must not throw and must not wait. */
export type Take = (item: Buffer) => void

/** Whether what is taken goes through pipelines of this process, whose components then stay out of the logs. */
export type ReportWay = 'inside' | 'outside'

/** Who tells, and who listens. */
export class SelfReport implements LogTap {
  readonly resource: Attributes
  readonly version: string
  /** Makes the items of all metrics as they stand. */
  metrics: () => readonly Buffer[] = () => []
  /** Components that own data passes, as `kind id`: what they log would cause more of it, again and again. */
  quiet: ReadonlySet<string> = new Set()
  /** Items that nobody could take in time. */
  readonly dropped: Record<Signal, number> = { traces: 0, metrics: 0, logs: 0 }
  readonly #logs = new Set<{ take: Take; way: ReportWay }>()
  readonly #spans = new Set<Take>()

  constructor(resource: Attributes, version: string) {
    this.resource = resource
    this.version = version
  }

  /** A request of these items. */
  request(items: readonly Buffer[]): Buffer {
    return encodeRequest(this.resource, this.version, items)
  }

  /** Hands every line of the log to `take`, until the returned function is called. */
  onLog(take: Take, way: ReportWay): () => void {
    const listener = { take, way }
    this.#logs.add(listener)
    return () => this.#logs.delete(listener)
  }

  /** Hands every span to `take`, until the returned function is called. */
  onSpan(take: Take): () => void {
    this.#spans.add(take)
    return () => this.#spans.delete(take)
  }

  /** Whether anybody takes spans. */
  get traced(): boolean {
    return this.#spans.size > 0
  }

  span(span: OwnSpan): void {
    if (this.#spans.size === 0) return
    const item = encodeSpan(span)
    for (const take of this.#spans) take(item)
  }

  line(level: 'debug' | 'info' | 'warn' | 'error', module: string, fields: LogFields, message: string): void {
    if (this.#logs.size === 0 || module === ownModule) return
    let item: Buffer | undefined
    const isQuiet = this.#isQuiet(module, fields)
    for (const { take, way } of this.#logs) {
      if (way === 'inside' && isQuiet) continue
      item ??= encodeLogRecord({ at: Date.now(), level, message, attributes: { module, ...plain(fields) } })
      take(item)
    }
  }

  /** Whether a line is about a component that own data passes: one of its own, or of the service about its state. */
  #isQuiet(module: string, { kind, id }: LogFields): boolean {
    if (typeof kind !== 'string' || this.quiet.size === 0) return false
    if (typeof id === 'string' && this.quiet.has(`${kind} ${id}`)) return true
    // A component may have modules of its own below its id.
    for (let end = module.length; end > 0; end = module.lastIndexOf('.', end - 1)) {
      if (this.quiet.has(`${kind} ${module.slice(0, end)}`)) return true
    }
    return false
  }
}

/** Where components find it. */
export const selfReportKey = new HostKey<SelfReport>('self report')

type Single = string | number | bigint | boolean

const isSingle = (value: unknown): value is Single => ['string', 'number', 'bigint', 'boolean'].includes(typeof value)

/** Fields as attributes: what is neither text, number nor boolean as JSON. */
function plain(fields: LogFields): Record<string, Single> {
  const attributes: Record<string, Single> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === null) continue
    if (isSingle(value)) attributes[name] = value
    else if (value instanceof Error) attributes[name] = value.stack ?? value.message
    else attributes[name] = JSON.stringify(value, withoutBigints) ?? ''
  }
  return attributes
}

/** JSON has no whole numbers of 64 bits that all readers keep. */
const withoutBigints = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value)
