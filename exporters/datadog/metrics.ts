/** Metrics for Datadog's intakes of series and sketches, and APM stats that come as metrics. */
import type { Cancellation } from '../../core/cancellation.ts'
import type { Batch } from '../../core/batch.ts'
import type { Attempt, Sent } from '../../core/component.ts'
import { DeliveryError, messageOf } from '../../core/errors.ts'
import { userAgent } from '../../net/user-agent.ts'
import { MetricBlocks } from '../../backends/datadog/metric-block.ts'
import { statsBody } from '../../backends/datadog/stats.ts'
import { WireError } from '../../proto/wire.ts'
import { givenUpFor } from '../given-up.ts'
import type { Target } from '../http-push.ts'
import { type Intake, TooLarge } from './intake.ts'
import { type KnownSeries, type MappedMetrics, MetricMapping } from './metric-mapping.ts'
import { halves, type MetricBody } from './metric-output.ts'
import { metricSettings } from './metric-settings.ts'

/** A batch of more bytes is halved, so that what is made of it at one time stays small. */
const mostBytes = 16_000_000

/** Bytes that the intakes take in one request, compressed. */
const mostCompressed = { series: 512_000, sketches: 3_200_000 } as const

/** One request of a batch. */
interface Request {
  readonly intake: Intake
  readonly target: Target
  readonly body: Buffer
  /** Data points that are done with it. */
  readonly points: number
  /** What can be cut; APM stats cannot. */
  readonly metrics: MetricBody | undefined
}

/** What is sent of a batch, and how far that is. */
class Plan {
  readonly requests: Request[]
  readonly commit: () => void
  next = 0
  rejected: number
  message: string
  readonly reasons: Record<string, number>

  constructor(requests: Request[], { rejected, reasons, commit }: MappedMetrics) {
    this.requests = requests
    this.commit = commit
    this.rejected = rejected
    this.reasons = { ...reasons }
    const words = Object.entries(reasons).map(([reason, count]) => `${count} ${reason}`)
    this.message = words.length > 0 ? `left out: ${words.join(', ')}` : ''
  }
}

/** Sends metrics. */
export class DatadogMetrics {
  readonly #intake: Intake
  readonly #stats: Intake
  readonly #targets: { readonly series: Target; readonly sketches: Target; readonly stats: Target }
  readonly #blocks: MetricBlocks
  #mapping: MetricMapping

  /** `stats` is the intake of traces; `known`: what is known of cumulative series. */
  constructor(intake: Intake, stats: Intake, known: KnownSeries) {
    this.#intake = intake
    this.#stats = stats
    const protobuf = 'application/x-protobuf'
    this.#targets = {
      series: intake.target('metrics', '/api/v2/series', protobuf),
      // The version of the payload's format.
      sketches: intake.target('metrics', '/api/beta/sketches', protobuf, { 'dd-agent-payload': '4.87.0' }),
      stats: stats.target('traces', '/api/v0.2/stats', 'application/msgpack'),
    }
    const { metrics } = intake.config
    this.#blocks = new MetricBlocks({
      hostname: metrics.disable_hostname ? '' : intake.hostname,
      resourceAttributes: metrics.resource_attributes_as_tags,
      scope: metrics.instrumentation_scope_metadata_as_tags,
    })
    this.#mapping = this.#mappingOn(known)
  }

  /** Goes on with what is known of series. */
  adopt(known: KnownSeries): void {
    this.#mapping = this.#mappingOn(known)
  }

  #mappingOn(known: KnownSeries): MetricMapping {
    return new MetricMapping(metricSettings(this.#intake.config), this.#blocks, known)
  }

  fits(batch: Batch): boolean {
    return sizeOf(batch) <= mostBytes
  }

  async send(batch: Batch, attempt: Attempt): Promise<Sent | undefined> {
    const plan = attempt.memo instanceof Plan ? attempt.memo : this.#plan(batch)
    for (let request = plan.requests[plan.next]; request !== undefined; request = plan.requests[plan.next]) {
      try {
        await this.#post(request, plan, batch, attempt)
      } catch (error) {
        if (this.#cut(request, plan, error)) continue
        // Before anything was taken the batch can be cut and sent again; after that only the rest of it can.
        if (plan.next === 0) throw error
        const reason = givenUpFor(error, attempt.isSuspect)
        if (reason === undefined) throw error
        plan.reasons[reason] = (plan.reasons[reason] ?? 0) + request.points
        plan.rejected += request.points
        plan.message = messageOf(error)
      }
      // What is known changes with the first that is taken: from there on the batch counts, and stays what it was made.
      if (plan.next === 0) {
        plan.commit()
        attempt.memo = plan
      }
      plan.next++
    }
    if (plan.requests.length === 0) plan.commit()
    const { rejected, message, reasons } = plan
    return rejected === 0 ? undefined : { rejected, message, reasons }
  }

  async #post(
    { intake, target, body, metrics }: Request,
    plan: Plan,
    batch: Batch,
    cancellation: Cancellation,
  ): Promise<void> {
    const most = metrics === undefined ? Infinity : mostCompressed[metrics.kind]
    // A body that may be needed again is not given away.
    const isKept = plan.requests.length > 1 || body.length > most / 2
    await intake.send(target, batch, isKept ? Buffer.from(body) : body, cancellation, most)
  }

  /**
   * Puts two requests in the place of one that is too large, and says whether it did. What an intake says before it has taken
   * anything is left to whoever cuts batches, and knows when to stop.
   */
  #cut({ metrics }: Request, plan: Plan, error: unknown): boolean {
    if (!(error instanceof DeliveryError) || error.kind !== 'too_large') return false
    if (plan.next === 0 && !(error instanceof TooLarge)) return false
    const parts = metrics && halves(metrics)
    if (parts === undefined) return false
    plan.requests.splice(plan.next, 1, ...parts.map(part => this.#request(part)))
    return true
  }

  #request(metrics: MetricBody): Request {
    const { kind, bytes, ends } = metrics
    return { intake: this.#intake, target: this.#targets[kind], body: bytes, points: ends.length, metrics }
  }

  /** Maps a batch. Until something of it is taken that gives the same every time. */
  #plan(batch: Batch): Plan {
    const mapped = this.#mapped(batch)
    const requests = mapped.bodies.map(body => this.#request(body))
    if (mapped.stats.length > 0) requests.push(this.#statsRequest(mapped.stats))
    return new Plan(requests, mapped)
  }

  #mapped(batch: Batch): MappedMetrics {
    try {
      return this.#mapping.map(batch.groups, Math.ceil(sizeOf(batch)), this.#intake.push.budget?.pool)
    } catch (error) {
      throw unreadable(error)
    }
  }

  #statsRequest(stats: readonly Uint8Array[]): Request {
    const { hostname } = this.#stats
    try {
      const body = statsBody(stats, { hostname, env: '', version: userAgent })
      return { intake: this.#stats, target: this.#targets.stats, body, points: stats.length, metrics: undefined }
    } catch (error) {
      throw unreadable(error)
    }
  }
}

/** Receivers check framing; what is wrong deeper down is found here. */
function unreadable(error: unknown): unknown {
  if (!(error instanceof WireError)) return error
  return new DeliveryError('DELIVERY_REJECTED', 'rejected', `metrics cannot be read: ${error.message}`, {
    cause: error,
  })
}

/** About how many bytes the series have: each repeats the tags of its resource. */
function sizeOf({ groups }: Batch): number {
  let size = 0
  for (const group of groups) {
    size += (group.end - group.start) * 1.3 + group.items * (group.resourceEnd - group.resourceStart + 100)
  }
  return size
}
