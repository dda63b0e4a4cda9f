/**
 * Spans of some batches, made from what the journal hears of them: one of the request as its receiver sees it, and below
 * that one for each component it passes and each attempt to send it.
 */
import { randomFillSync } from 'node:crypto'
import type { Batch } from '../core/batch.ts'
import type { NodeName } from '../core/books.ts'
import type { Outcome } from '../core/delivery.ts'
import type { Happening, JournalEvent, JournalRecord, Trace, Tracer } from '../core/journal.ts'
import type { SelfReport } from './self-report.ts'

/** How many requests are traced. */
export interface Sampling {
  /** Share of all, 0 to 1. */
  readonly ratio: number
  /** Most per second. */
  readonly perSecond: number
}

/** The clock of spans: milliseconds since the epoch with a fraction, never behind what the system's clock says by much. */
class PreciseClock {
  #offset = 0
  #until = 0

  now(): number {
    const now = performance.now()
    if (now >= this.#until) {
      // The system's clock may be set; the other one only ticks.
      this.#offset = Date.now() - now
      this.#until = now + 10_000
    }
    return this.#offset + now
  }
}

/** Chooses requests and makes their spans. */
export class BatchTracer implements Tracer {
  readonly #own: SelfReport
  readonly #sampling: Sampling
  readonly #clock = new PreciseClock()
  #due = 0
  #second = 0
  #taken = 0

  constructor(own: SelfReport, sampling: Sampling) {
    this.#own = own
    this.#sampling = sampling
  }

  sample(name: NodeName, { context }: Batch): Trace | undefined {
    if (!this.#own.traced) return undefined
    const { ratio, perSecond } = this.#sampling
    this.#due += ratio
    if (this.#due < 1) return undefined
    this.#due -= 1
    const start = this.#clock.now()
    const second = Math.floor(start / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#taken = 0
    }
    if (++this.#taken > perSecond) return undefined
    return new BatchTrace(this.#own, this.#clock, name, start, parentOf(context.metadata))
  }
}

/** Random bytes for identifiers, which are got many at a time: each call of the system costs as much as a span. */
class Identifiers {
  #bytes = Buffer.alloc(0)
  #at = 0

  take(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length) {
      this.#bytes = randomFillSync(Buffer.allocUnsafeSlow(2048))
      this.#at = 0
    }
    return this.#bytes.subarray(this.#at, (this.#at += length))
  }
}
const identifiers = new Identifiers()

const failures: ReadonlySet<Happening> = new Set([
  'refused',
  'returned',
  'attempt_failed',
  'rejected',
  'dead_lettered',
  'lost',
])

class BatchTrace implements Trace {
  readonly #own: SelfReport
  readonly #clock: PreciseClock
  readonly #name: NodeName
  readonly #start: number
  readonly #traceId: Uint8Array
  readonly #spanId = identifiers.take(8)
  readonly #parentId: Uint8Array | undefined
  /** Until when each pipeline is told. */
  readonly #told = new Map<string, number>()

  constructor(own: SelfReport, clock: PreciseClock, name: NodeName, start: number, parent: Parent | undefined) {
    this.#own = own
    this.#clock = clock
    this.#name = name
    this.#start = start
    this.#traceId = parent?.traceId ?? identifiers.take(16)
    this.#parentId = parent?.spanId
  }

  happened(record: JournalRecord, event: JournalEvent): void {
    const { kind, component, pipeline, what, items, reason, detail, took } = event
    const end = this.#clock.now()
    const start = took === undefined ? (this.#told.get(pipeline) ?? this.#start) : end - took
    if (pipeline !== '') this.#told.set(pipeline, end)
    const isSend = kind === 'exporter' && took !== undefined
    this.#own.span({
      traceId: this.#traceId,
      spanId: identifiers.take(8),
      parentId: this.#spanId,
      name: `${kind}/${component}/${record.signal}`,
      kind: isSend ? 'client' : 'internal',
      start,
      end,
      attributes: {
        'otelcol.component.id': component,
        'otelcol.component.kind': kind,
        'otelcol.signal': record.signal,
        ...(pipeline === '' ? {} : { 'otelcol.pipeline.id': pipeline }),
        'kymo.batch.id': record.id,
        'kymo.items': items,
        'kymo.event': what,
        ...(reason === undefined ? {} : { 'kymo.reason': reason }),
      },
      error: failures.has(what) ? (detail ?? reason ?? what) : undefined,
    })
  }

  ended(record: JournalRecord, outcome: Outcome): void {
    const { id, signal } = this.#name
    this.#own.span({
      traceId: this.#traceId,
      spanId: this.#spanId,
      parentId: this.#parentId,
      name: `receiver/${id}/${signal}`,
      kind: 'server',
      start: this.#start,
      end: this.#clock.now(),
      attributes: {
        'otelcol.component.id': id,
        'otelcol.component.kind': 'receiver',
        'otelcol.signal': signal,
        'kymo.batch.id': record.id,
        'kymo.items': record.items,
        'kymo.answer': outcome.kind,
        transport: record.transport,
      },
      error: errorOf(outcome),
    })
  }
}

function errorOf(outcome: Outcome): string | undefined {
  if (outcome.kind === 'refused') return outcome.error.message
  return outcome.kind === 'rejected' ? outcome.reason : undefined
}

/** The span of the sender. */
interface Parent {
  readonly traceId: Uint8Array
  readonly spanId: Uint8Array
}

/** What W3C's `traceparent` says, where the receiver keeps headers. */
function parentOf(metadata: ReadonlyMap<string, readonly string[]> | undefined): Parent | undefined {
  const [header = ''] = metadata?.get('traceparent') ?? []
  const [, traceId = '', spanId = ''] =
    /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-|$)/.exec(header) ?? []
  if (/^0*$/.test(traceId) || /^0*$/.test(spanId)) return undefined
  return { traceId: Buffer.from(traceId, 'hex'), spanId: Buffer.from(spanId, 'hex') }
}
