import * as z from 'zod'
import type { Batch } from '../core/batch.ts'
import type { Budget } from '../core/budget.ts'
import { defineExporter, type Exporter, type ExporterContext, type Sent } from '../core/component.ts'
import { sending } from '../core/sending.ts'
import type { Encoding } from '../net/compression.ts'
import { GrpcClient, GrpcError } from '../net/grpc-client.ts'
import { grpcClient, grpcClientOptions } from '../net/grpc-client-keys.ts'
import { encodeGroups } from '../proto/group.ts'
import { allSignals, signals } from '../proto/signals.ts'
import { deliveryErrorOfGrpc, sentOf, unreadable } from './otlp-answer.ts'
import { budgetOf, compressCharged } from './otlp-body.ts'

const config = z.strictObject({ ...grpcClient(), ...sending({ timeout: '5s' }) })

type Config = z.output<typeof config>

/** OTLP over gRPC. */
export const otlpGrpcExporter = defineExporter<Config>({
  type: 'otlp_grpc',
  aliases: ['otlp'],
  stability: 'beta',
  summary: 'Sends to any OTLP backend or collector over gRPC.',
  signals: allSignals,
  ordering: 'none',
  config,
  examples: [
    { title: 'A gateway in the same cluster', config: { endpoint: 'gateway:4317', tls: { insecure: true } } },
    {
      title: 'A backend that wants a key',
      config: { endpoint: 'otlp.example.com:443', headers: { 'api-key': '${env:API_KEY}' } },
    },
  ],
  create(config, context) {
    return new OtlpGrpc(config, context)
  },
})

/** gRPC's five bytes before a message: compressed or not, and its length. */
const prefixSize = 5

/** gRPC's `snappy` is the framing format, unlike HTTP's. */
const encodings: Record<Config['compression'], Encoding | undefined> = {
  gzip: 'gzip',
  zstd: 'zstd',
  snappy: 'x-snappy-framed',
  none: undefined,
  '': undefined,
}

class OtlpGrpc implements Exporter {
  readonly #endpoint: string
  readonly #timeout: number
  readonly #encoding: Encoding | undefined
  readonly #client: GrpcClient
  readonly #budget: Budget | undefined

  constructor(config: Config, context: ExporterContext) {
    this.#endpoint = config.endpoint
    this.#timeout = config.timeout
    this.#encoding = encodings[config.compression]
    this.#client = new GrpcClient(grpcClientOptions(config, context.log))
    this.#budget = budgetOf(context.host)
  }

  async send(batch: Batch, abort: AbortSignal): Promise<Sent | undefined> {
    const frame = await this.#frame(batch)
    this.#budget?.charge(frame.length)
    let response: Buffer
    try {
      response = await this.#client.call(signals[batch.signal].grpcPath, frame, { timeout: this.#timeout, abort })
    } catch (error) {
      throw error instanceof GrpcError ? deliveryErrorOfGrpc(error, this.#endpoint) : error
    } finally {
      this.#budget?.release(frame.length)
    }
    try {
      return sentOf(response, batch)
    } catch (error) {
      throw unreadable(error, this.#endpoint)
    }
  }

  stop(): void {
    this.#client.close()
  }

  async #frame(batch: Batch): Promise<Buffer> {
    const plain = encodeGroups(batch.groups, prefixSize)
    const encoding = this.#encoding
    if (encoding === undefined) {
      plain[0] = 0
      plain.writeUInt32BE(plain.length - prefixSize, 1)
      return plain
    }
    const body = await compressCharged(this.#budget, encoding, undefined, plain.subarray(prefixSize))
    const frame = Buffer.allocUnsafeSlow(prefixSize + body.length)
    frame[0] = 1
    frame.writeUInt32BE(body.length, 1)
    body.copy(frame, prefixSize)
    return frame
  }
}
