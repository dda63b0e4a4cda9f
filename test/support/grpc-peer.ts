/** Servers that are not ours for tests of the client side: grpc-js with raw bytes, and bare HTTP/2. */
import { once } from 'node:events'
import http2 from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import * as grpc from '@grpc/grpc-js'
import { allSignals, signals } from '../../proto/signals.ts'

const raw = (bytes: Buffer) => bytes

export type GrpcHandler = grpc.handleUnaryCall<Buffer, Buffer>

export interface Peer {
  readonly port: number
  readonly endpoint: string
  stop(): Promise<void> | void
}

/** A grpc-js server that has OTLP's three methods. */
export async function grpcJs(
  handler: GrpcHandler,
  more: { options?: grpc.ServerOptions; port?: number; host?: string; credentials?: grpc.ServerCredentials } = {},
): Promise<Peer & { readonly server: grpc.Server }> {
  const server = new grpc.Server(more.options)
  for (const signal of allSignals) {
    const method = {
      path: signals[signal].grpcPath,
      requestStream: false as const,
      responseStream: false as const,
      requestDeserialize: raw,
      requestSerialize: raw,
      responseDeserialize: raw,
      responseSerialize: raw,
    }
    server.addService({ Export: method }, { Export: handler })
  }
  const { host = '127.0.0.1', credentials = grpc.ServerCredentials.createInsecure() } = more
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`${host}:${more.port ?? 0}`, credentials, (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  )
  return { server, port, endpoint: `${host}:${port}`, stop: () => server.forceShutdown() }
}

/** A bare HTTP/2 server. */
export async function bareHttp2(
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  more: { settings?: http2.Settings; port?: number; onSession?: (session: http2.ServerHttp2Session) => void } = {},
): Promise<Peer & { readonly sessions: Set<http2.ServerHttp2Session> }> {
  const server = http2.createServer({ settings: more.settings ?? {} })
  const sessions = new Set<http2.ServerHttp2Session>()
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('session', session => {
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
    session.on('error', () => {})
    more.onSession?.(session)
  })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    onStream(stream, headers)
  })
  server.listen(more.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const stop = async (): Promise<void> => {
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return { port, endpoint: `127.0.0.1:${port}`, sessions, stop }
}

/** Reads a request and answers it as gRPC does. */
export function answer(
  stream: http2.ServerHttp2Stream,
  more: { message?: Buffer; headers?: http2.OutgoingHttpHeaders; trailers?: http2.OutgoingHttpHeaders } = {},
): void {
  stream.resume()
  stream.on('end', () => {
    if (stream.destroyed) return
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...more.headers }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers(more.trailers ?? { 'grpc-status': '0' }))
    stream.end(more.message ?? Buffer.alloc(5))
  })
}

/** A failure for grpc-js to send; its own type wants the code as a member of its enum. */
export function failure(code: number, details: string, status?: Buffer): grpc.ServerErrorResponse {
  const metadata = new grpc.Metadata()
  if (status) metadata.set('grpc-status-details-bin', status)
  // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- tests go through all numbers
  return Object.assign(new Error(details), { code, details, metadata })
}

/** A message behind gRPC's prefix. */
export function framed(message: Buffer, compressed = 0): Buffer {
  const prefix = Buffer.alloc(5)
  prefix[0] = compressed
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}
