/** Sends batches as OTLP over gRPC: what every exporter that does so stands on. */
import type { ClientAuthenticator, Headers } from '../core/auth.ts'
import { clientAuthenticator } from '../core/authenticators.ts'
import type { Batch } from '../core/batch.ts'
import { sendBody } from '../core/body.ts'
import type { Budget } from '../core/budget.ts'
import type { Attempt, Exporter, ExporterContext, Sent } from '../core/component.ts'
import type { SendingConfig } from '../core/sending.ts'
import { revealed } from '../net/client-keys.ts'
import type { Encoding } from '../net/compression.ts'
import { GrpcClient, GrpcError } from '../net/grpc-client.ts'
import { type GrpcClientConfig, grpcClientOptions } from '../net/grpc-client-keys.ts'
import { encodeGroups } from '../proto/group.ts'
import { signals } from '../proto/signals.ts'
import { deliveryErrorOfGrpc, sentOf, unreadable } from './otlp-answer.ts'
import { budgetOf, compressCharged, takeFrom } from './otlp-body.ts'

/** What of an exporter's configuration this reads. */
export type OtlpGrpcConfig = GrpcClientConfig & Pick<SendingConfig, 'timeout'>

/** gRPC's five bytes before a message: compressed or not, and its length. */
const prefixSize = 5

/** gRPC's `snappy` is the framing format, unlike HTTP's. */
const encodings: Record<OtlpGrpcConfig['compression'], Encoding | undefined> = {
  gzip: 'gzip',
  zstd: 'zstd',
  snappy: 'x-snappy-framed',
  none: undefined,
  '': undefined,
}

/** An exporter of OTLP over gRPC. */
export class OtlpGrpc implements Exporter {
  readonly #endpoint: string
  readonly #timeout: number
  readonly #encoding: Encoding | undefined
  readonly #client: GrpcClient
  readonly #budget: Budget | undefined
  readonly #context: ExporterContext
  readonly #auth: string | undefined
  readonly #headers: Headers
  #authenticator: ClientAuthenticator | undefined

  constructor(config: OtlpGrpcConfig, context: ExporterContext) {
    this.#context = context
    this.#auth = config.auth?.authenticator
    this.#headers = revealed(config.headers)
    this.#endpoint = config.endpoint
    this.#timeout = config.timeout
    this.#encoding = encodings[config.compression]
    this.#client = new GrpcClient(grpcClientOptions(config, context.log))
    this.#budget = budgetOf(context.host)
  }

  start(): void {
    if (this.#auth !== undefined) this.#authenticator = clientAuthenticator(this.#context, this.#auth)
  }

  send(batch: Batch, { signal: abort }: Attempt): Promise<Sent | undefined> {
    const key = `grpc ${this.#encoding ?? ''}`
    return sendBody(
      batch,
      key,
      this.#budget,
      () => this.#frame(batch),
      frame => this.#call(batch, frame, abort),
    )
  }

  async #call(batch: Batch, frame: Buffer, abort: AbortSignal): Promise<Sent | undefined> {
    const headers = this.#authenticator?.headers(batch.context, this.#headers)
    let response: Buffer
    try {
      const options = { timeout: this.#timeout, abort, headers }
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

  /** The request behind gRPC's prefix: compressed flag and length. */
  #frame(batch: Batch): Buffer | Promise<Buffer> {
    const plain = encodeGroups(batch.groups, prefixSize, size => takeFrom(this.#budget, size))
    if (this.#encoding !== undefined) return this.#compressed(this.#encoding, plain)
    plain[0] = 0
    plain.writeUInt32BE(plain.length - prefixSize, 1)
    return plain
  }

  async #compressed(encoding: Encoding, plain: Buffer): Promise<Buffer> {
    const body = await compressCharged(this.#budget, encoding, undefined, plain.subarray(prefixSize))
    this.#budget?.pool.give(plain)
    const frame = takeFrom(this.#budget, prefixSize + body.length)
    frame[0] = 1
    frame.writeUInt32BE(body.length, 1)
    body.copy(frame, prefixSize)
    return frame
  }
}
