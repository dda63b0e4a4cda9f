/** A running `otlp` receiver with a graph that is one function. */
import * as grpc from '@grpc/grpc-js'
import type { Batch } from '../../core/batch.ts'
import { Books } from '../../core/books.ts'
import { Budget, budgetKey } from '../../core/budget.ts'
import { finderFor } from '../../core/capability.ts'
import type { Extension, ReceiverDefinition } from '../../core/component.ts'
import { Host } from '../../core/host.ts'
import { type LogFields, type Logger, silent } from '../../core/logger.ts'
import { Status } from '../../core/status.ts'
import { Listeners, listenersKey } from '../../net/listeners.ts'
import { allSignals, type Signal, signals } from '../../proto/signals.ts'
import { otlp } from '../../receivers/otlp/otlp.ts'
import { receiverContext } from './contexts.ts'

export interface Receiving {
  readonly budget: Budget
  readonly batches: readonly Batch[]
  readonly grpcPort: number
  readonly httpPort: number
  readonly status: Status
  /** Requests turned away over both protocols, by reason. */
  refused(reason: string): number
  stop(): Promise<void>
}

export interface ReceivingOptions {
  readonly grpc?: object
  readonly http?: object
  readonly signals?: readonly Signal[]
  readonly budget?: Budget
  /** Extensions that run. */
  readonly extensions?: Readonly<Record<string, Extension>>
  /** What becomes of a batch; accepted when not given. */
  push?(batch: Batch): void
}

/** Starts the receiver on free ports. */
export async function receive(options: ReceivingOptions = {}): Promise<Receiving> {
  const { budget = new Budget(256 << 20), push = batch => batch.accept() } = options
  const ports = new Map<unknown, number>()
  const info = (fields: LogFields, message: string): void => {
    if (message === 'listening') ports.set(fields['protocol'], Number(String(fields['endpoint']).split(':').at(-1)))
  }
  const log: Logger = { ...silent, info, child: () => log }
  const listeners = new Listeners()
  const books = new Books()
  const batches: Batch[] = []
  const status = new Status()
  status.set('Starting')
  const context = receiverContext({
    id: 'otlp',
    log,
    status,
    extension: finderFor({ id: 'otlp' }, id => options.extensions?.[id]),
    host: new Host().provide(listenersKey, listeners).provide(budgetKey, budget),
    signals: new Set(options.signals ?? allSignals),
    books: signal => books.node({ kind: 'receiver', id: 'otlp', pipeline: '', signal }),
    door: (transport, refusals) => void books.doors.push({ receiver: 'otlp', transport, refusals, tallies: [] }),
    push: batch => {
      batches.push(batch)
      push(batch)
    },
  })
  const definition = otlp as ReceiverDefinition<unknown>
  const config = definition.config.parse({
    protocols: {
      grpc: { endpoint: '127.0.0.1:0', ...options.grpc },
      http: { endpoint: '127.0.0.1:0', ...options.http },
    },
  })
  const receiver = definition.create(config, context)
  await receiver.start?.()
  receiver.run?.()
  return {
    budget,
    batches,
    status,
    grpcPort: ports.get('grpc') ?? 0,
    httpPort: ports.get('http') ?? 0,
    refused: reason => books.doors.reduce((sum, { refusals }) => sum + (refusals[reason] ?? 0), 0),
    stop: async () => {
      await receiver.stop?.()
      await listeners.close()
    },
  }
}

/** What a sender heard, in terms of both protocols. */
export interface Heard {
  /** gRPC code, or HTTP status. */
  readonly status: number
  readonly message: string
  readonly body: Buffer
  /** google.rpc.Status as it was sent, if it was. */
  readonly details: Buffer | undefined
  readonly retryAfter: string | null
}

const raw = (bytes: Buffer) => bytes

/** A client of grpc-js. */
export function grpcSender(port: number, options: grpc.ClientOptions = {}) {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options)
  const send = (
    body: Buffer,
    more: grpc.CallOptions & { signal?: Signal; metadata?: grpc.Metadata } = {},
  ): Promise<Heard> =>
    new Promise(resolve => {
      const { signal = 'traces', metadata = new grpc.Metadata() } = more
      client.makeUnaryRequest(signals[signal].grpcPath, raw, raw, body, metadata, more, (error, value) => {
        const details = error?.metadata?.get('grpc-status-details-bin')[0]
        resolve({
          status: error?.code ?? 0,
          message: error?.details ?? '',
          body: value ?? Buffer.alloc(0),
          details: Buffer.isBuffer(details) ? details : undefined,
          retryAfter: null,
        })
      })
    })
  return { send, close: () => client.close() }
}

/** Sends one HTTP request. */
export async function httpSend(
  port: number,
  body: Buffer,
  more: { signal?: Signal; path?: string; headers?: Record<string, string>; abort?: AbortSignal } = {},
): Promise<Heard> {
  const response = await fetch(`http://127.0.0.1:${port}${more.path ?? signals[more.signal ?? 'traces'].path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf', ...more.headers },
    body: new Uint8Array(body),
    signal: more.abort ?? null,
  })
  const answer = Buffer.from(await response.arrayBuffer())
  return {
    status: response.status,
    message: response.ok ? '' : String(answer),
    body: answer,
    details: response.ok ? undefined : answer,
    retryAfter: response.headers.get('retry-after'),
  }
}
