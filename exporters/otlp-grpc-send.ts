/** Sends batches as OTLP over gRPC: what every exporter that does so stands on. */
import type { Cancellation } from '../core/cancellation.ts'
import { type ClientAuthenticator, clientAuthenticatorKey, type Headers } from '../core/auth.ts'
import type { Batch } from '../core/batch.ts'
import { type Body, type BodyFormat, sendBody } from '../core/body.ts'
import { type Budget, budgetKey } from '../core/budget.ts'
import { type Checkable, emptyBatch, type CheckFinding } from '../core/check.ts'
import type { Attempt, Exporter, ExporterContext, Sent } from '../core/component.ts'
import type { SendingConfig } from '../core/sending.ts'
import { revealed } from '../net/client-keys.ts'
import type { ConnectPlace } from '../net/connect-steps.ts'
import type { Encoding } from '../net/compression.ts'
import { GrpcClient, GrpcError } from '../net/grpc-client.ts'
import { type GrpcClientConfig, grpcClientOptions } from '../net/grpc-client-keys.ts'
import { parseTarget, serverNameOf } from '../net/grpc-target.ts'
import { encodeGroups } from '../proto/group.ts'
import { type Signal, signals } from '../proto/signals.ts'
import { findingOfGrpc } from './check-request.ts'
import { deliveryErrorOfGrpc, sentOf, unreadable } from './otlp-answer.ts'
import { compressCharged, takeFrom } from './otlp-body.ts'

/** What of an exporter's configuration this reads. */
export type OtlpGrpcConfig = GrpcClientConfig & Pick<SendingConfig, 'timeout'>

/** gRPC's five bytes before a message: compressed or not, and its length. */
const prefixSize = 5

/** A request in protobuf behind gRPC's prefix: compressed flag and length. */
const frame: BodyFormat = {
  write({ groups }, budget) {
    const bytes = encodeGroups(groups, prefixSize, size => takeFrom(budget, size))
    bytes[0] = 0
    bytes.writeUInt32BE(bytes.length - prefixSize, 1)
    return { bytes }
  },
}

const compressedFrame = (encoding: Encoding): BodyFormat => ({
  async write({ groups }, budget): Promise<Body> {
    const plain = encodeGroups(groups, prefixSize, size => takeFrom(budget, size))
    const body = await compressCharged(budget, encoding, undefined, plain.subarray(prefixSize))
    budget?.pool.give(plain)
    const bytes = takeFrom(budget, prefixSize + body.length)
    bytes[0] = 1
    bytes.writeUInt32BE(body.length, 1)
    body.copy(bytes, prefixSize)
    return { bytes }
  },
})

/** gRPC's `snappy` is the framing format, unlike HTTP's. */
const frames: Readonly<Record<OtlpGrpcConfig['compression'], BodyFormat>> = {
  gzip: compressedFrame('gzip'),
  zstd: compressedFrame('zstd'),
  snappy: compressedFrame('x-snappy-framed'),
  none: frame,
  '': frame,
}

/** An exporter of OTLP over gRPC. */
export class OtlpGrpc implements Exporter {
  readonly #config: OtlpGrpcConfig
  readonly #endpoint: string
  readonly #timeout: number
  readonly #format: BodyFormat
  readonly #client: GrpcClient
  readonly #budget: Budget | undefined
  readonly #context: ExporterContext
  readonly #auth: string | undefined
  readonly #headers: Headers
  #authenticator: ClientAuthenticator | undefined

  constructor(config: OtlpGrpcConfig, context: ExporterContext) {
    this.#config = config
    this.#context = context
    this.#auth = config.auth?.authenticator
    this.#headers = revealed(config.headers)
    this.#endpoint = config.endpoint
    this.#timeout = config.timeout
    this.#format = frames[config.compression]
    this.#client = new GrpcClient({ ...grpcClientOptions(config, context.log), onReached: () => context.reached() })
    this.#budget = context.host.find(budgetKey)
  }

  start(): void {
    if (this.#auth !== undefined) this.#authenticator = this.#context.extension(this.#auth, clientAuthenticatorKey)
  }

  send(batch: Batch, attempt: Attempt): Promise<Sent | undefined> {
    return sendBody(batch, this.#format, this.#budget, ({ bytes }) => this.#call(batch, bytes, attempt))
  }

  async #call(batch: Batch, frame: Buffer, cancellation: Cancellation): Promise<Sent | undefined> {
    const headers = this.#authenticator?.headers(batch.context, this.#headers)
    let response: Buffer
    try {
      const options = { timeout: this.#timeout, cancellation, headers }
      response = await this.#client.call(signals[batch.signal].grpcPath, frame, options)
    } catch (error) {
      throw error instanceof GrpcError ? deliveryErrorOfGrpc(error, this.#endpoint) : error
    }
    try {
      return sentOf(response, batch)
    } catch (error) {
      return unreadable(error, this.#endpoint)
    }
  }

  stop(): void {
    this.#client.close()
  }

  check(): readonly Checkable[] {
    const all = [...this.#context.signals]
    return [
      {
        endpoint: this.#client.target.name,
        signals: all,
        check: async steps => {
          const { connectSteps } = await import('../net/connect-steps.ts')
          if (!(await connectSteps(placeOf(this.#config, this.#context), steps))) return
          for (const signal of all) {
            await steps.take(`request ${signal}`, cancellation => this.#ask(signal, cancellation))
          }
        },
      },
    ]
  }

  /** Sends a request without data. */
  async #ask(signal: Signal, cancellation: Cancellation): Promise<CheckFinding> {
    this.start()
    const batch = emptyBatch(signal)
    try {
      await sendBody(batch, this.#format, this.#budget, ({ bytes }) => this.#call(batch, bytes, cancellation))
    } catch (error) {
      const { cause } = error instanceof Error ? error : {}
      if (cause instanceof GrpcError) return findingOfGrpc(cause, this.#config)
      throw error
    }
    return { text: 'OK: it takes what is sent', facts: { status: 'OK' } }
  }
}

function placeOf(config: OtlpGrpcConfig, { log }: ExporterContext): ConnectPlace {
  const { host, port, socket, authority } = parseTarget(config.endpoint)
  const { tls } = grpcClientOptions(config, log)
  return {
    to: socket === undefined ? { host, port } : { path: socket },
    protocol: 'h2',
    tls: tls && {
      options: tls,
      keys: config.tls,
      serverName: serverNameOf(config.authority || authority),
      plainHint: 'for a plain connection set `tls.insecure: true`, else use the port that speaks TLS',
    },
  }
}
