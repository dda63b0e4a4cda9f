/** Sends batches to Loki: one request per tenant, over its push API or as OTLP. */
import type { Cancellation } from '../../core/cancellation.ts'
import { Account } from '../../core/account.ts'
import type { Batch } from '../../core/batch.ts'
import type { BodyFormat } from '../../core/body.ts'
import { type Checkable, emptyBatch } from '../../core/check.ts'
import type { Attempt, Exporter, ExporterContext, Sent } from '../../core/component.ts'
import { elementAt } from '../../core/element-at.ts'
import { DeliveryError } from '../../core/errors.ts'
import { Kept } from '../../core/kept.ts'
import { toJson } from '../../backends/loki/json.ts'
import { type Pushed, type PushSettings, PushWriter } from '../../backends/loki/push.ts'
import { WireError } from '../../proto/wire.ts'
import { HttpPush, type PushConfig, type Target } from '../http-push.ts'
import { jsonFormat, protobufFormat } from '../otlp-body.ts'
import { httpCheckable } from '../check-request.ts'
import { emptyAnswer, sentOfLoki } from './answer.ts'
import { StreamLimit } from './stream-limit.ts'
import { type Part, partByTenant, type TenantConfig } from './tenants.ts'

/** How an exporter sends. */
export interface LokiOptions {
  readonly url: URL
  readonly otlp: boolean
  readonly json: boolean
  readonly tenant: TenantConfig | undefined
  readonly push: PushSettings
  readonly maxStreams: number
  /** Milliseconds after which a stream without data does not count. */
  readonly streamIdle: number
  /** Most bytes of one request as Loki counts them; 0 sets no limit. */
  readonly maxRequest: number
}

/** Requests under way at once, where a batch holds several tenants. */
const abreast = 8
/** Tenants whose headers are kept. */
const mostTargets = 1000
/** Milliseconds between two warnings about streams. */
const warnEvery = 60_000

/** The exporter. */
export class Loki implements Exporter {
  readonly #config: PushConfig
  readonly #options: LokiOptions
  readonly #context: ExporterContext
  readonly #http: HttpPush
  #writer: PushWriter
  #kept: Kept<StreamLimit>
  readonly #targets = new Map<string | undefined, Target>()
  /** What is sent as OTLP is written. */
  readonly #otlpFormat: BodyFormat
  #demoted = 0
  readonly #demotedNames = new Set<string>()
  #warned = -Infinity

  constructor(config: PushConfig, context: ExporterContext, options: LokiOptions) {
    this.#config = config
    this.#options = options
    this.#context = context
    this.#http = new HttpPush(config, context)
    this.#otlpFormat = this.#http.compressed(options.json ? jsonFormat : protobufFormat)
    const { maxStreams, streamIdle, push } = options
    const { clock } = context
    const account = new Account(this.#http.budget, 'exporter', context.id)
    const now = (): number => clock.now()
    const streams = new StreamLimit(maxStreams, streamIdle, Object.keys(push.labels.fixed), now, account)
    this.#kept = new Kept(streams, account, this)
    this.#writer = new PushWriter(push, streams, () => clock.wall())
  }

  /** The streams in use: Loki counts them whatever is configured here. */
  leave(): Kept<StreamLimit> {
    return this.#kept
  }

  adopt(state: unknown): boolean {
    if (!(state instanceof Kept) || !(state.known instanceof StreamLimit)) return false
    const { maxStreams, streamIdle, push } = this.#options
    state.handTo(this)
    state.known.limit(maxStreams, streamIdle, Object.keys(push.labels.fixed))
    this.#kept = state
    this.#writer = new PushWriter(push, state.known, () => this.#context.clock.wall())
    return true
  }

  start(): void {
    this.#http.start()
  }

  stop(): Promise<void> {
    this.#kept.release(this)
    return this.#http.stop()
  }

  /** Of several tenants only the one of data without any: the others are in the data. */
  check(): readonly Checkable[] {
    const { tenant, otlp, json } = this.#options
    const target = this.#target(tenant?.source === 'static' ? tenant.value : tenant?.default)
    const batch = emptyBatch('logs')
    const ask = async (cancellation: Cancellation) => {
      const sent = otlp
        ? this.#http.send(target, batch, this.#otlpFormat, cancellation)
        : this.#http.sendBytes(target, batch, Buffer.from(json ? '{"streams":[]}' : ''), cancellation)
      return (await sent).answer
    }
    return [
      httpCheckable({
        config: this.#config,
        target,
        signals: ['logs'],
        start: () => this.start(),
        requests: [{ step: 'request logs', ask, known: emptyAnswer }],
        [tenant === undefined ? 'unset' : 'key']: 'tenant',
      }),
    ]
  }

  /** What Loki counts is lines and metadata, and each line has the metadata of its resource. */
  fits({ groups }: Batch): boolean {
    const { maxRequest } = this.#options
    if (maxRequest === 0) return true
    let size = 0
    for (const { start, end, resourceStart, resourceEnd, items } of groups) {
      size += end - start + items * (resourceEnd - resourceStart)
    }
    return size <= maxRequest
  }

  async send(batch: Batch, attempt: Attempt): Promise<Sent | undefined> {
    const { parts, invalid, example } = partByTenant(batch, this.#options.tenant)
    const refused: Sent | undefined = invalid && {
      rejected: invalid.items,
      message: `\`${example}\` is no tenant that Loki can have`,
      reasons: { invalid_tenant: invalid.items },
    }
    const [first] = parts
    if (first === undefined) return refused
    if (parts.length === 1) return merged([refused, await this.#part(first, attempt)])
    if (invalid !== undefined) attempt.settle(invalid, refused)
    const failed = await this.#all(parts, attempt)
    if (failed.length > 0) throw failureOf(failed)
    return undefined
  }

  /** Sends each its part, which is done when it is taken: where others fail, only theirs are sent again. */
  async #all(parts: readonly Part[], attempt: Attempt): Promise<DeliveryError[]> {
    const failed: DeliveryError[] = []
    const next = parts.values()
    const work = async (): Promise<void> => {
      for (const part of next) {
        try {
          attempt.settle(part.batch, await this.#part(part, attempt))
        } catch (error) {
          if (!(error instanceof DeliveryError)) throw error
          failed.push(error)
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(abreast, parts.length) }, work))
    return failed
  }

  async #part(part: Part, cancellation: Cancellation): Promise<Sent | undefined> {
    const { otlp } = this.#options
    const { tenant, batch } = part
    const target = this.#target(tenant)
    if (otlp && !this.fits(batch)) this.#alone(batch, batch.byteLength, target)
    const { body, left } = otlp ? { body: undefined, left: undefined } : this.#pushBody(batch, target)
    if (body === undefined && !otlp) return left
    const { answer } =
      body === undefined
        ? await this.#http.send(target, batch, this.#otlpFormat, cancellation)
        : await this.#http.sendBytes(target, batch, body, cancellation)
    try {
      return merged([left, sentOfLoki(answer, target.name, otlp)])
    } catch (error) {
      throw this.#withoutTenant(part, error)
    }
  }

  /** Where only some data lacks a tenant, it is that data that is wrong: it must not hold up the rest. */
  #withoutTenant({ tenant }: Part, error: unknown): unknown {
    const { tenant: config } = this.#options
    if (tenant !== undefined || config === undefined) return error
    if (!(error instanceof DeliveryError) || error.kind !== 'denied') return error
    const where = config.source === 'context' ? 'request metadata' : 'resource attribute'
    const text = `${error.message}; there is no ${where} \`${config.value}\`: set \`tenant.default\``
    return new DeliveryError('DELIVERY_REJECTED', 'rejected', text, { cause: error })
  }

  #pushBody(batch: Batch, target: Target): { body: Buffer | undefined; left: Sent | undefined } {
    const memory = this.#http.budget?.pool
    let pushed: Pushed
    try {
      pushed = this.#writer.write(batch.groups, memory)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      const message = `cannot be written for Loki: ${error.message}`
      throw new DeliveryError('DELIVERY_REJECTED', 'rejected', message, { cause: error })
    }
    const { entries } = pushed
    try {
      this.#note(pushed)
      const left = leftOut(pushed, this.#options.push)
      if (entries.count === 0) return { body: undefined, left }
      if (this.#options.maxRequest > 0 && entries.out.at > this.#options.maxRequest) {
        this.#alone(batch, entries.out.at, target)
      }
      return { body: this.#options.json ? toJson(entries) : entries.toProtobuf(memory), left }
    } finally {
      entries.abandon()
    }
  }

  /** A record that is a larger request by itself than Loki takes is not sent: what Loki says to that may be to come again. */
  #alone({ items }: Batch, size: number, { name }: Target): void {
    if (items > 1) return
    const message = `${name}: a record of ${size} bytes, where \`max_request_size\` is ${this.#options.maxRequest}`
    throw new DeliveryError('DELIVERY_TOO_LARGE', 'too_large', message)
  }

  /** Says now and then that there are too many streams. */
  #note({ demoted, demotedNames }: Pushed): void {
    if (demoted === 0) return
    this.#demoted += demoted
    for (const name of demotedNames) if (this.#demotedNames.size < mostNamed) this.#demotedNames.add(name)
    const now = this.#context.clock.now()
    if (now - this.#warned < warnEvery) return
    this.#warned = now
    const fields = {
      records: this.#demoted,
      labels: [...this.#demotedNames].toSorted(),
      max_streams: this.#options.maxStreams,
    }
    this.#context.log.warn(
      fields,
      'too many streams: these labels went with the records as structured metadata; take labels with many values ' +
        'out of `labels`, or raise `labels.max_streams` or the memory limit',
    )
    this.#demoted = 0
    this.#demotedNames.clear()
  }

  #target(tenant: string | undefined): Target {
    let target = this.#targets.get(tenant)
    if (target === undefined) {
      if (this.#targets.size >= mostTargets) this.#targets.clear()
      this.#targets.set(tenant, (target = this.#makeTarget(tenant)))
    }
    return target
  }

  #makeTarget(tenant: string | undefined): Target {
    const { url, otlp, json } = this.#options
    const type = json ? 'application/json' : 'application/x-protobuf'
    const own = tenant === undefined ? {} : { 'x-scope-orgid': tenant }
    const target = this.#http.target(url, { 'content-type': type, ...own })
    if (otlp || json) return target
    // A push in protobuf is always one block of snappy, which is part of its format and not an encoding on top.
    const { 'content-encoding': _, ...headers } = target.headers
    return { ...target, headers }
  }
}

/** So many labels are named in one line of the log. */
const mostNamed = 20

/** What Loki was not even sent. */
function leftOut({ omitted }: Pushed, { limits }: PushSettings): Sent | undefined {
  if (omitted.size === 0) return undefined
  const hints = {
    line_too_long: `a line has more than \`max_line_size\` (${limits.lineSize}) bytes`,
    structured_metadata_too_large: `attributes have more than \`max_structured_metadata_size\` (${limits.metadataSize}) bytes`,
    structured_metadata_too_many: `there are more than \`max_structured_metadata_entries\` (${limits.metadataEntries}) attributes`,
    malformed: 'the bytes are no log record',
  }
  let rejected = 0
  for (const count of omitted.values()) rejected += count
  const why = [...omitted.keys()].map(reason => hints[reason]).join('; ')
  const mend = omitted.size === 1 && omitted.has('malformed') ? '' : '; `oversize: truncate` cuts instead'
  return { rejected, message: `left out: ${why}${mend}`, reasons: Object.fromEntries(omitted) }
}

/** Several of them as one. */
function merged(all: readonly (Sent | undefined)[]): Sent | undefined {
  const said = all.filter(sent => sent !== undefined)
  if (said.length <= 1) return said[0]
  const reasons: Record<string, number> = {}
  for (const one of said) {
    for (const [reason, count] of Object.entries(one.reasons ?? {})) reasons[reason] = (reasons[reason] ?? 0) + count
  }
  const rejected = said.reduce((sum, one) => sum + one.rejected, 0)
  return { rejected, message: [...new Set(said.map(one => one.message))].join('; '), reasons }
}

/** Which failure counts, the first that fits: as long as some part may yet be taken, none is given up. */
const ranks = ['retry', 'denied', 'too_large', 'rejected'] as const

/** Failures of several tenants as one. What is sent again is the same lines with the same times, which Loki keeps once. */
function failureOf(failed: readonly DeliveryError[]): DeliveryError {
  const kind = ranks.find(rank => failed.some(error => error.kind === rank)) ?? 'retry'
  const same = failed.filter(error => error.kind === kind)
  const first = elementAt(same, 0)
  const delays = same.map(({ retryAfter }) => retryAfter).filter(delay => delay !== undefined)
  const more = failed.length > 1 ? ` (and ${failed.length - 1} tenants more)` : ''
  return new DeliveryError(first.code, kind, first.message + more, {
    retryAfter: delays.length === 0 ? undefined : Math.max(...delays),
    maybeTaken: failed.some(({ maybeTaken }) => maybeTaken),
    cause: first,
  })
}
