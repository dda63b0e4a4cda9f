/**
 * An OTLP backend that is not ours: grpc-js and node:http in front, protobufjs behind. It decodes every byte it is
 * sent, keeps what it took, and refuses as INVALID_ARGUMENT / 400 what cannot be decoded.
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import grpc from '@grpc/grpc-js'
import { allSignals, type Signal } from '../../proto/signals.ts'
import { countItems, encode, type Item, itemsOf } from './otlp-proto.ts'

/** What the sink was sent, decoded. */
export interface Received {
  readonly signal: Signal
  readonly transport: 'grpc' | 'http'
  readonly items: readonly Item[]
  /** Spans, log records, data points. */
  readonly count: number
  readonly headers: Readonly<Record<string, string>>
  /** What the body was compressed with, as its header says. */
  readonly encoding: string
}

/** What the sink says to a request that it could decode. Nothing is: taken. */
export type Answer =
  | { readonly rejected: number; readonly message: string }
  | { readonly code: number; readonly message: string; readonly retryDelay?: number }
  | undefined

export interface OtlpSink {
  /** `127.0.0.1:port`. */
  readonly grpcEndpoint: string
  readonly httpEndpoint: string
  /** What was taken. */
  readonly received: Received[]
  /** Every request that could be decoded, taken or not. */
  readonly attempts: Received[]
  /** Requests that could not be decoded. */
  readonly undecodable: Buffer[]
  /** Says what comes of a request; by default everything is taken. */
  answer: (request: Received) => Answer | Promise<Answer>
  /** All items that were taken, of one signal. */
  items(signal: Signal): Item[]
  close(): Promise<void>
}

const services = { traces: ['trace', 'Trace'], metrics: ['metrics', 'Metrics'], logs: ['logs', 'Logs'] } as const
const grpcPath = (signal: Signal) => {
  const [folder, name] = services[signal]
  return `/opentelemetry.proto.collector.${folder}.v1.${name}Service/Export`
}
/** HTTP status of a gRPC code, as far as the tests answer with it. */
const httpStatus: Readonly<Record<number, number>> = { 3: 400, 7: 403, 8: 413, 14: 503, 16: 401 }

/** Starts a sink; ports that are not given are chosen by the system. */
export async function otlpSink(more: { grpcPort?: number; httpPort?: number } = {}): Promise<OtlpSink> {
  const taker = new Taker()
  const server = grpcServer(taker)
  const grpcPort = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${more.grpcPort ?? 0}`, grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  )
  const http = createServer((request, response) => void serveHttp(taker, request, response))
  await new Promise<void>(resolve => http.listen(more.httpPort ?? 0, '127.0.0.1', resolve))
  const httpPort = (http.address() as AddressInfo).port
  return Object.assign(taker, {
    grpcEndpoint: `127.0.0.1:${grpcPort}`,
    httpEndpoint: `http://127.0.0.1:${httpPort}`,
    close: async () => {
      server.forceShutdown()
      http.closeAllConnections()
      await new Promise(resolve => http.close(resolve))
    },
  })
}

class Taker {
  readonly received: Received[] = []
  readonly attempts: Received[] = []
  readonly undecodable: Buffer[] = []
  answer: (request: Received) => Answer | Promise<Answer> = () => undefined

  items(signal: Signal): Item[] {
    return this.received.filter(one => one.signal === signal).flatMap(one => one.items)
  }

  async take(signal: Signal, body: Buffer, what: Omit<Received, 'signal' | 'items' | 'count'>): Promise<Answer> {
    let items: Item[]
    try {
      items = itemsOf(signal, body)
    } catch (error) {
      this.undecodable.push(body)
      return { code: grpc.status.INVALID_ARGUMENT, message: `cannot decode: ${String(error)}` }
    }
    const request = { ...what, signal, items, count: countItems(signal, items) }
    this.attempts.push(request)
    const answer = await this.answer(request)
    if (answer === undefined || 'rejected' in answer) this.received.push(request)
    return answer
  }
}

const partial = (answer: Answer): Buffer =>
  answer !== undefined && 'rejected' in answer
    ? encode('Response', { partial_success: { rejected: answer.rejected, error_message: answer.message } })
    : Buffer.alloc(0)

/** A google.rpc.Status, with RetryInfo where a delay is asked for. */
function rpcStatus({ code, message, retryDelay }: { code: number; message: string; retryDelay?: number }): Buffer {
  const info = (delay: number) => ({
    type_url: 'type.googleapis.com/google.rpc.RetryInfo',
    value: encode('RetryInfo', {
      retry_delay: { seconds: Math.floor(delay / 1000), nanos: Math.round((delay % 1000) * 1e6) },
    }),
  })
  return encode('RpcStatus', { code, message, details: retryDelay === undefined ? [] : [info(retryDelay)] })
}

function grpcServer(taker: Taker): grpc.Server {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 })
  const raw = (bytes: Buffer) => bytes
  for (const signal of allSignals) {
    const method = {
      path: grpcPath(signal),
      requestStream: false as const,
      responseStream: false as const,
      requestSerialize: raw,
      requestDeserialize: raw,
      responseSerialize: raw,
      responseDeserialize: raw,
    }
    const handler: grpc.handleUnaryCall<Buffer, Buffer> = (call, callback) => {
      const headers = Object.fromEntries(Object.entries(call.metadata.getMap()).map(([k, v]) => [k, String(v)]))
      const what = { transport: 'grpc' as const, headers, encoding: '' }
      void taker.take(signal, call.request, what).then(answer => {
        if (answer === undefined || 'rejected' in answer) return callback(null, partial(answer))
        const metadata = new grpc.Metadata()
        metadata.set('grpc-status-details-bin', rpcStatus(answer))
        const { code, message: details } = answer
        callback(Object.assign(new Error(details), { code, details, metadata }))
      })
    }
    server.addService({ Export: method }, { Export: handler })
  }
  return server
}

async function serveHttp(taker: Taker, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const signal = allSignals.find(one => request.url === `/v1/${one}`)
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  if (signal === undefined) return void response.writeHead(404).end()
  const encoding = request.headers['content-encoding'] ?? ''
  const what = { transport: 'http' as const, headers: texts(request.headers), encoding }
  const answer = await taker.take(signal, inflated(encoding, Buffer.concat(chunks)), what)
  if (answer === undefined || 'rejected' in answer) {
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end(partial(answer))
    return
  }
  const delay = answer.retryDelay
  response.writeHead(httpStatus[answer.code] ?? 500, {
    'content-type': 'application/x-protobuf',
    ...(delay === undefined ? {} : { 'retry-after': String(Math.ceil(delay / 1000)) }),
  })
  response.end(rpcStatus(answer))
}

function inflated(encoding: string, body: Buffer): Buffer {
  if (encoding === 'gzip') return gunzipSync(body)
  if (encoding === 'zstd') return zstdDecompressSync(body)
  if (encoding === 'deflate') return inflateSync(body)
  return body
}

const texts = (headers: IncomingHttpHeaders) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
