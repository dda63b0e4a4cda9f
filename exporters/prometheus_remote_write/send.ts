/** Sends batches as remote write: one request, or several where a batch is large. */
import type { Cancellation } from '../../core/cancellation.ts'
import { Account } from '../../core/account.ts'
import type { Batch } from '../../core/batch.ts'
import { type Checkable, CheckFailure, emptyBatch, type CheckFinding } from '../../core/check.ts'
import type { Attempt, Exporter, ExporterContext, Sent } from '../../core/component.ts'
import { DeliveryError, messageOf } from '../../core/errors.ts'
import type { HttpAnswer } from '../../net/http-client.ts'
import { compressSnappy } from '../../net/snappy.ts'
import { labelName } from '../../backends/prometheus/names.ts'
import {
  type EncodeOptions,
  type LeftOut,
  RemoteWriteEncoder,
  type RemoteWritePart,
} from '../../backends/remote-write/request.ts'
import type { Room } from '../../proto/room.ts'
import { WireError } from '../../proto/wire.ts'
import { givenUpFor } from '../given-up.ts'
import { httpCheckable } from '../check-request.ts'
import { HttpPush, type Target } from '../http-push.ts'
import { promotionOf, strategyOf } from '../prometheus-naming.ts'
import { type Counts, type Outcome, outcome1, outcome2, UnknownVersion, unknownVersion } from './answers.ts'
import type { RemoteWriteConfig } from './prometheus_remote_write.ts'

type Version = 1 | 2

/** One request, ready to be sent. */
interface Request {
  readonly body: Buffer
  /** Bytes before compression. */
  readonly size: number
  readonly counts: Counts
}

/** What a batch is sent as. */
interface Encoded {
  readonly requests: readonly Request[]
  readonly laneCount: number
  readonly leftOut: LeftOut
}

/** A batch on its way, over all its attempts: a request that was answered is not sent again. */
class Progress {
  readonly version: Version
  readonly outcomes = new Map<Request, Outcome>()
  /** How many lanes there are; those of one batch stay as they are. */
  readonly laneCount: number
  requests: readonly Request[]
  readonly #leftOut: LeftOut

  constructor(version: Version, { requests, laneCount, leftOut }: Encoded) {
    this.version = version
    this.laneCount = laneCount
    this.requests = requests
    this.#leftOut = leftOut
  }

  /** Descriptions of resources. */
  get infos(): number {
    return this.requests.reduce((sum, { counts }) => sum + counts.infos, 0)
  }

  get bytes(): number {
    return this.requests.reduce((sum, { body }) => sum + body.length, 0)
  }

  /** Requests of each lane that have no answer yet. */
  lanes(): Request[][] {
    const open = this.requests.filter(request => !this.outcomes.has(request))
    return [...Map.groupBy(open, ({ counts }) => counts.lane).values()]
  }

  /** How many points of each lane were answered for; all, where no request of it is open. */
  answered(): number[] {
    const answered = Array.from({ length: this.laneCount }, () => 0)
    for (const { counts } of this.outcomes.keys()) answered[counts.lane] = (answered[counts.lane] ?? 0) + counts.points
    const open = new Set(this.lanes().map(([first]) => first?.counts.lane))
    return answered.map((points, lane) => (open.has(lane) ? points : Infinity))
  }

  /** What is told of the batch. */
  sent(): Sent | undefined {
    return sentOf(this.#leftOut, [...this.outcomes.values()])
  }
}

/** A request that was not taken. */
interface FailedRequest {
  readonly request: Request
  readonly error: unknown
}

const versionHeaders: Readonly<Record<Version, Readonly<Record<string, string>>>> = {
  1: { 'content-type': 'application/x-protobuf', 'x-prometheus-remote-write-version': '0.1.0' },
  2: {
    'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
    'x-prometheus-remote-write-version': '2.0.0',
  },
}

/** The exporter `prometheus_remote_write`. */
export class RemoteWrite implements Exporter {
  readonly #config: RemoteWriteConfig
  readonly #context: ExporterContext
  readonly #push: HttpPush
  readonly #url: URL
  /** What is known of metrics and labels. */
  readonly #account: Account
  readonly #lanes: number
  readonly #targets = new Map<Version, Target>()
  readonly #encoders = new Map<Version, RemoteWriteEncoder>()
  #version: Version
  /** Bytes of requests before compression for each byte of a batch, as it was lately. */
  #growth = 2

  constructor(config: RemoteWriteConfig, context: ExporterContext) {
    this.#config = config
    this.#context = context
    const { endpoint = '', ...client } = config.http ?? config
    this.#url = new URL(endpoint)
    this.#push = new HttpPush(
      { ...client, compression: 'none', compression_params: { level: 0 }, timeout: config.timeout },
      context,
    )
    this.#account = new Account(this.#push.budget, 'exporter', context.id)
    this.#lanes = config.max_batch_request_parallelism ?? config.remote_write_queue.num_consumers
    this.#version = config.protobuf_message === 'prometheus.WriteRequest' ? 1 : 2
  }

  start(): void {
    this.#push.start()
  }

  stop(): Promise<void> {
    this.#account.close()
    return this.#push.stop()
  }

  check(): readonly Checkable[] {
    const target = this.#target(this.#version)
    const nothing = compressSnappy(Buffer.alloc(0))
    const ask = (cancellation: Cancellation) => this.#push.post(target, emptyBatch('metrics'), nothing, cancellation)
    const { protobuf_message: message } = this.#config
    const known = (answer: HttpAnswer): CheckFinding | undefined => {
      if (answer.status !== 415 || this.#version === 1) return undefined
      const text = `HTTP 415: it does not know remote write 2.0`
      if (message === 'auto')
        return { text: `${text}, and is sent 1.0 (\`protobuf_message: auto\`)`, facts: { status: 415 } }
      throw new CheckFailure(text, 'set `protobuf_message` to auto or prometheus.WriteRequest', { status: 415 })
    }
    return [
      httpCheckable({
        config: this.#config.http ?? this.#config,
        target,
        signals: ['metrics'],
        start: () => this.start(),
        requests: [{ step: 'request metrics', ask, known }],
      }),
    ]
  }

  /** Whether all of it can be sent side by side. */
  fits({ byteLength }: Batch): boolean {
    return byteLength * this.#growth <= this.#config.max_batch_size_bytes * this.#lanes
  }

  async send(batch: Batch, attempt: Attempt): Promise<Sent | undefined> {
    try {
      return await this.#sendOrDescribeLess(batch, attempt)
    } catch (error) {
      if (!(error instanceof UnknownVersion)) throw error
      if (this.#config.protobuf_message !== 'auto') throw unknownVersion(error)
      this.#version = 1
      attempt.memo = undefined
      this.#context.log.info({ answer: error.message }, 'the receiver does not know remote write 2.0: 1.0 from now on')
      return await this.#sendOrDescribeLess(batch, attempt)
    }
  }

  /** Sends it, and where it is refused without the descriptions of resources, which need not be the batch's fault. */
  async #sendOrDescribeLess(batch: Batch, attempt: Attempt): Promise<Sent | undefined> {
    const { memo } = attempt
    const progress = memo instanceof Progress ? memo : this.#encode(batch, {})
    try {
      return await this.#sendRest(progress, batch, attempt)
    } catch (error) {
      const isRejected = error instanceof DeliveryError && error.kind === 'rejected'
      if (!isRejected || progress.infos === 0 || attempt.memo !== undefined) throw error
      const sent = await this.#sendRest(this.#encode(batch, { targetInfo: false }), batch, attempt)
      return sent ?? { rejected: 0, message: `\`target_info\` was not taken: ${error.message}` }
    }
  }

  /** Sends what has no answer yet. Once some of it is taken the batch cannot be cut, so that what is refused of it ends here. */
  async #sendRest(progress: Progress, batch: Batch, attempt: Attempt): Promise<Sent | undefined> {
    const { budget } = this.#push
    const { outcomes } = progress
    let charged = 0
    try {
      for (;;) {
        budget?.release(charged)
        charged = progress.bytes
        budget?.charge(charged)
        const failures = await this.#sendLanes(progress, batch, attempt)
        if (failures.length === 0) return progress.sent()
        if (outcomes.size === 0) throw worst(failures)
        attempt.memo = progress
        const isCut = this.#cut(progress, batch, failures)
        const open = failures.filter(({ request, error }) => {
          if (isCut && isTooLarge(error)) return false
          const reason = givenUpFor(error, attempt.isSuspect)
          if (reason === undefined) return true
          outcomes.set(request, { reasons: { [reason]: request.counts.points }, message: messageOf(error) })
          return false
        })
        if (open.length > 0) throw worst(open)
      }
    } finally {
      budget?.release(charged)
    }
  }

  /** Makes smaller requests of all that is open where one of several points is too large, and says whether it did. */
  #cut(progress: Progress, batch: Batch, failures: readonly FailedRequest[]): boolean {
    const { outcomes, version, laneCount } = progress
    const large = failures.filter(({ request, error }) => isTooLarge(error) && request.counts.points > 1)
    if (large.length === 0) return false
    const maxBytes = Math.min(...large.map(({ request }) => request.size)) / 2
    // What was said of the resources need not be said again.
    const how = { lanes: laneCount, maxBytes, passOver: progress.answered(), targetInfo: false }
    progress.requests = [...outcomes.keys(), ...this.#requests(version, batch, how).requests]
    return true
  }

  #encode(batch: Batch, how: EncodeOptions): Progress {
    const version = this.#version
    const { max_batch_size_bytes: most } = this.#config
    // More than one only where there will be more than one request.
    const lanes = Math.min(this.#lanes, Math.ceil((batch.byteLength * this.#growth) / most))
    const encoded = this.#requests(version, batch, { ...how, lanes })
    const plain = encoded.requests.reduce((sum, { size }) => sum + size, 0)
    this.#growth += (Math.max(0.5, plain / batch.byteLength) - this.#growth) / 4
    return new Progress(version, encoded)
  }

  #requests(version: Version, batch: Batch, how: EncodeOptions): Encoded {
    const requests: Request[] = []
    const put = ({ body, ...counts }: RemoteWritePart): void => {
      requests.push({ body: compressSnappy(body), size: body.length, counts })
    }
    try {
      const leftOut = this.#encoder(version).encode(batch.groups, put, how)
      return { requests, laneCount: Math.max(1, how.lanes ?? 1), leftOut }
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      // Receivers check framing; what is wrong deeper down is found by whoever reads there.
      const message = `cannot be written as remote write: ${error.message}`
      throw new DeliveryError('DELIVERY_REJECTED', 'rejected', message, { cause: error })
    }
  }

  /** Sends the requests of each lane one after the other, up to the first that fails, and the lanes side by side. */
  async #sendLanes(progress: Progress, batch: Batch, cancellation: Cancellation): Promise<FailedRequest[]> {
    const { version, outcomes } = progress
    const failures: FailedRequest[] = []
    const send = async (lane: readonly Request[]): Promise<void> => {
      for (const request of lane) {
        try {
          outcomes.set(request, await this.#post(request, batch, version, cancellation))
        } catch (error) {
          failures.push({ request, error })
          return
        }
      }
    }
    await Promise.all(progress.lanes().map(send))
    return failures
  }

  async #post({ body, counts }: Request, batch: Batch, version: Version, cancellation: Cancellation): Promise<Outcome> {
    const target = this.#target(version)
    const answer = await this.#push.post(this.#forwarding(target, batch), batch, body, cancellation)
    return version === 1 ? outcome1(answer, target.name) : outcome2(answer, target.name, counts)
  }

  #target(version: Version): Target {
    let target = this.#targets.get(version)
    if (target === undefined) {
      const { headers, ...rest } = this.#push.target(this.#url, {})
      // What the protocol sets cannot be changed.
      target = { ...rest, headers: { ...headers, 'content-encoding': 'snappy', ...versionHeaders[version] } }
      this.#targets.set(version, target)
    }
    return target
  }

  /** The target with the headers of the batch's senders that are to be sent on. */
  #forwarding(target: Target, { context }: Batch): Target {
    const { include_metadata_keys: keys } = this.#config
    if (keys.length === 0 || context.metadata === undefined) return target
    const headers = { ...target.headers }
    for (const key of keys) {
      const values = context.metadata.get(key.toLowerCase())
      if (values !== undefined && values.length > 0) headers[key.toLowerCase()] = values.join(', ')
    }
    return { ...target, headers }
  }

  #encoder(version: Version): RemoteWriteEncoder {
    let encoder = this.#encoders.get(version)
    if (encoder === undefined) this.#encoders.set(version, (encoder = encoderOf(this.#config, version, this.#account)))
    return encoder
  }
}

function encoderOf(config: RemoteWriteConfig, version: Version, room: Room): RemoteWriteEncoder {
  const strategy = strategyOf(config)
  const external = Object.entries(config.external_labels).map(([name, value]) => [labelName(name, strategy), value])
  const native = config.convert_explicit_histograms_to_nhcb
  return new RemoteWriteEncoder({
    version,
    strategy,
    labels: {
      labelName: key => labelName(key, strategy),
      promotes: promotionOf(config),
      scopeLabels: !config.disable_scope_info,
      constant: Object.fromEntries(external.filter(([name]) => name !== '')) as Record<string, string>,
    },
    namespace: config.namespace,
    targetInfo: config.target_info.enabled,
    metadata: config.send_metadata,
    histograms: native ? (config.keep_classic_histograms ? 'both' : 'native') : 'classic',
    delta: config.native_delta_ingestion,
    maxBytes: config.max_batch_size_bytes,
    room,
  })
}

const isTooLarge = (error: unknown): boolean => error instanceof DeliveryError && error.kind === 'too_large'

/** Of several failures the one that says most about what to do. */
function worst(failures: readonly FailedRequest[]): unknown {
  const errors = failures.map(({ error }) => error)
  const of = (kind: string): unknown => errors.find(error => error instanceof DeliveryError && error.kind === kind)
  const unknown = errors.find(error => !(error instanceof DeliveryError))
  return unknown ?? of('denied') ?? of('retry') ?? of('too_large') ?? errors[0]
}

interface Sum {
  rejected: number
  message: string
  reasons: Record<string, number>
}

function add(sum: Sum, { rejected, message, reasons = {} }: Sent): void {
  sum.rejected += rejected
  if (sum.message === '') sum.message = message
  for (const [reason, count] of Object.entries(reasons)) sum.reasons[reason] = (sum.reasons[reason] ?? 0) + count
}

/** What is told of a batch that was taken; undefined when all of it was stored. */
function sentOf(leftOut: LeftOut, outcomes: readonly Outcome[]): Sent | undefined {
  const sum: Sum = { rejected: 0, message: '', reasons: {} }
  for (const { reasons, message } of outcomes) {
    const rejected = Object.values(reasons).reduce((total, count) => total + count, 0)
    add(sum, { rejected, message, reasons })
  }
  for (const [reason, count] of Object.entries(leftOut)) {
    add(sum, { rejected: count, message: explanations[reason] ?? reason, reasons: { [reason]: count } })
  }
  return sum.rejected === 0 && sum.message === '' ? undefined : sum
}

/** Why points are left out. */
const explanations: Readonly<Record<string, string>> = {
  delta:
    'Prometheus takes no delta temporality: put a processor that accumulates in front, or set `native_delta_ingestion`',
  unknown_temporality: 'the temporality is not said',
  no_name: 'nothing of the name can be kept in Prometheus',
  no_value: 'the point has no value',
  too_many_buckets: 'the point has more than 10,000 buckets or quantiles',
  scale_too_small: 'the scale of an exponential histogram is below -4, which native histograms do not have',
  bucket_index: 'a bucket of an exponential histogram lies outside what native histograms have',
  bucket_counts: 'the buckets of a histogram do not make up its count',
  bucket_bounds: 'the bounds of a histogram do not rise, or are no numbers',
}
