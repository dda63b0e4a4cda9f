/** OTLP requests over gRPC (grpc-js) and HTTP (node:http), byte for byte as given. */
import { request as httpRequest } from 'node:http'
import { gzipSync } from 'node:zlib'
import grpc from '@grpc/grpc-js'
import { type Signal, signals } from '../../proto/signals.ts'
import { decode, listOf, type Plain } from './otlp-proto.ts'

/** What the sender heard over gRPC. */
export interface GrpcAnswer {
  readonly code: number
  readonly message: string
  /** Of a success. */
  readonly partial: Plain | undefined
  /** Milliseconds of RetryInfo, if there was one. */
  readonly retryDelay: number | undefined
}

/** What the sender heard over HTTP. */
export interface HttpAnswer {
  readonly status: number
  readonly partial: Plain | undefined
  readonly retryAfter: string | undefined
  /** The google.rpc.Status of a failure. */
  readonly message: string
}

const raw = (bytes: Buffer) => bytes
const partialOf = (body: Buffer) => decode('Response', body)['partial_success'] as Plain | undefined

/** A client over one connection. */
export function grpcSender(endpoint: string, more: { gzip?: boolean; headers?: Record<string, string> } = {}) {
  const client = new grpc.Client(endpoint, grpc.credentials.createInsecure(), {
    'grpc.default_compression_algorithm': grpc.compressionAlgorithms[more.gzip ? 'gzip' : 'identity'],
    'grpc.max_send_message_length': -1,
    'grpc.use_local_subchannel_pool': 1,
  })
  const metadata = new grpc.Metadata()
  for (const [name, value] of Object.entries(more.headers ?? {})) metadata.set(name, value)
  const send = (signal: Signal, body: Buffer, deadline = 10_000): Promise<GrpcAnswer> =>
    new Promise(resolve => {
      const options = { deadline: Date.now() + deadline }
      client.makeUnaryRequest(signals[signal].grpcPath, raw, raw, body, metadata, options, (error, answer) => {
        if (error === null) {
          resolve({ code: 0, message: '', partial: partialOf(answer ?? Buffer.alloc(0)), retryDelay: undefined })
        } else {
          const { code, details: message } = error
          resolve({ code, message, partial: undefined, retryDelay: retryDelayOf(error.metadata) })
        }
      })
    })
  return { send, close: () => client.close() }
}

/** Sends one request over a connection of its own. */
export async function grpcSend(
  endpoint: string,
  signal: Signal,
  body: Buffer,
  more: { gzip?: boolean; headers?: Record<string, string> } = {},
): Promise<GrpcAnswer> {
  const { send, close } = grpcSender(endpoint, more)
  try {
    return await send(signal, body)
  } finally {
    close()
  }
}

function retryDelayOf(metadata: grpc.Metadata): number | undefined {
  const [details] = metadata.get('grpc-status-details-bin')
  if (details === undefined) return undefined
  for (const { type_url, value } of listOf(decode('RpcStatus', details as Buffer), 'details')) {
    if (type_url !== 'type.googleapis.com/google.rpc.RetryInfo') continue
    const info = decode('RetryInfo', Buffer.from(String(value).slice(2), 'hex'))
    const { seconds = '0', nanos = 0 } = (info['retry_delay'] ?? {}) as Plain
    return Number(seconds) * 1000 + Number(nanos) / 1e6
  }
  return undefined
}

/** Sends one request over HTTP. */
export function httpSend(
  endpoint: string,
  signal: Signal,
  body: Buffer,
  more: { gzip?: boolean; headers?: Record<string, string> } = {},
): Promise<HttpAnswer> {
  const headers = {
    'content-type': 'application/x-protobuf',
    ...(more.gzip ? { 'content-encoding': 'gzip' } : {}),
    ...more.headers,
  }
  return new Promise((resolve, reject) => {
    const request = httpRequest(`http://${endpoint}/v1/${signal}`, { method: 'POST', headers }, response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk as Buffer))
      response.on('end', () => {
        const answer = Buffer.concat(chunks)
        const status = response.statusCode ?? 0
        const retryAfter = response.headers['retry-after']
        if (status === 200) resolve({ status, partial: partialOf(answer), retryAfter, message: '' })
        else {
          const type = response.headers['content-type']
          const message = type === 'application/x-protobuf' ? decode('RpcStatus', answer)['message'] : answer
          resolve({ status, partial: undefined, retryAfter, message: String(message) })
        }
      })
    })
    request.on('error', reject)
    request.end(more.gzip ? gzipSync(body) : body)
  })
}
