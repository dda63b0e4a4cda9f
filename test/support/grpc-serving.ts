/** A gRPC server of ours, and clients for it: grpc-js, and bare HTTP/2 that can send anything. */
import http2, { type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import * as grpc from '@grpc/grpc-js'
import { Budget } from '../../core/budget.ts'
import { silent } from '../../core/logger.ts'
import type { AdmissionLimits } from '../../net/admission.ts'
import type { GrpcHandler } from '../../net/grpc-server-call.ts'
import { grpcServer } from '../../net/grpc-server-keys.ts'
import { GrpcServer } from '../../net/grpc-server.ts'
import { Listeners } from '../../net/listeners.ts'

/** The method that is served. */
export const path = '/test.Echo/Call'
const cleanups: (() => unknown)[] = []

/** Ends everything that was started here. */
export async function cleanup(): Promise<void> {
  for (const one of cleanups.splice(0).toReversed()) await one()
}

/** A body that compresses. */
export const body = Buffer.from('a body that compresses, a body that compresses, a body that compresses')

export interface Setup {
  settings?: object
  limits?: Partial<AdmissionLimits>
  handler?: GrpcHandler<{ peer: string }>
  budget?: Budget
  onTls?: (error: string | undefined) => void
}

/** A server of one method, which answers with what it was sent. */
export async function serve({ settings = {}, limits, handler, budget = new Budget(256 << 20), onTls }: Setup = {}) {
  const listeners = new Listeners()
  const server = new GrpcServer({
    config: grpcServer({ endpoint: '127.0.0.1:0' }).parse(settings),
    budget,
    log: silent,
    connected: peer => ({ peer }),
    ...(limits ? { limits } : {}),
    ...(onTls ? { onTls } : {}),
  })
  server.register(
    path,
    handler ??
      (call => {
        budget.release(call.charge)
        call.reply(call.body)
      }),
  )
  const { port } = await listeners.listen('127.0.0.1:0', server.accept, 'test')
  cleanups.push(() => listeners.close())
  cleanups.push(() => server.stop(0))
  return { server, budget, port }
}

/** Calls by grpc-js. */
export function grpcJs(
  port: number,
  options: grpc.ClientOptions = {},
  credentials = grpc.credentials.createInsecure(),
) {
  const client = new grpc.Client(`127.0.0.1:${port}`, credentials, options)
  cleanups.push(() => client.close())
  const raw = (bytes: Buffer) => bytes
  return (body: Buffer, more: grpc.CallOptions & { metadata?: grpc.Metadata; path?: string } = {}) =>
    new Promise<Buffer>((resolve, reject) =>
      client.makeUnaryRequest(
        more.path ?? path,
        raw,
        raw,
        body,
        more.metadata ?? new grpc.Metadata(),
        more,
        (error, value) => (error ? reject(error) : resolve(value ?? Buffer.alloc(0))),
      ),
    )
}

/** A bare HTTP/2 connection. */
export async function session(port: number): Promise<ClientHttp2Session> {
  const client = http2.connect(`http://127.0.0.1:${port}`)
  client.on('error', () => {})
  cleanups.push(() => client.destroy())
  await new Promise(resolve => client.once('remoteSettings', resolve))
  return client
}

/** A message with its prefix. */
export const frame = (body: Buffer, flag = 0, length = body.length) => {
  const prefix = Buffer.from([flag, 0, 0, 0, 0])
  prefix.writeUInt32BE(length, 1)
  return Buffer.concat([prefix, body])
}

export interface Answer {
  headers: IncomingHttpHeaders
  trailers: IncomingHttpHeaders
  body: Buffer
  reset: number
}

/** Sends raw bytes as one call. */
export function call(client: ClientHttp2Session, body: Buffer | undefined, headers: object = {}): Promise<Answer> {
  const stream = client.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  })
  return new Promise(resolve => {
    const answer: Answer = { headers: {}, trailers: {}, body: Buffer.alloc(0), reset: 0 }
    stream.on('response', headers => (answer.headers = headers))
    stream.on('trailers', trailers => (answer.trailers = trailers))
    stream.on('data', (chunk: Buffer) => (answer.body = Buffer.concat([answer.body, chunk])))
    stream.on('error', () => {})
    stream.on('close', () => resolve({ ...answer, reset: stream.rstCode ?? 0 }))
    if (body !== undefined) stream.end(body)
  })
}

export const statusOf = (answer: Answer) => Number(answer.trailers['grpc-status'] ?? answer.headers['grpc-status'])
