/** Destinations of every kind, right and wrong, and what `kymo check --connect` finds out of them. */
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import * as grpc from '@grpc/grpc-js'
import { onTestFinished } from 'vitest'
import { loadPlan } from '../../plan/load.ts'
import { checkConnections, type ConnectionsDocument } from '../../service/connections.ts'
import { serverCert, serverKey } from '../net/certificates.ts'
import { components } from './components.ts'
import { grpcJs } from './grpc-peer.ts'

/** The port of `server`, which listens until the test ends. */
export async function listening(server: net.Server): Promise<number> {
  const sockets = new Set<net.Socket>()
  const note = (socket: net.Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  }
  server
    .on('connection', note)
    .on('secureConnection', note)
    .on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const answering =
  (status: number, body = '', headers = {}): http.RequestListener =>
  (request, response) =>
    request.resume().on('end', () => response.writeHead(status, headers).end(body))

/** One that answers everything so. */
export const plain = (status: number, body?: string, headers?: object) =>
  listening(http.createServer(answering(status, body, headers)))
/** The same over TLS. */
export const secure = (options: https.ServerOptions = {}, status = 200) =>
  listening(https.createServer({ key: serverKey, cert: serverCert, ...options }, answering(status)))
/** Takes connections and says nothing. */
export const silent = () => listening(net.createServer())

/** One for gRPC, which answers with `code`, or takes everything. */
export async function grpcServer(code?: grpc.status, isSecure = false): Promise<number> {
  const credentials = isSecure
    ? grpc.ServerCredentials.createSsl(null, [
        { cert_chain: Buffer.from(serverCert), private_key: Buffer.from(serverKey) },
      ])
    : grpc.ServerCredentials.createInsecure()
  const answer = (_call: unknown, done: grpc.sendUnaryData<Buffer>) =>
    code === undefined ? done(null, Buffer.alloc(0)) : done({ code, details: 'said the server' })
  const server = await grpcJs(answer, { credentials })
  onTestFinished(() => server.stop())
  return server.port
}

/** What is found out of the only exporter. */
export async function looked(
  exporter: string,
  config: object,
  { signal = 'traces', more = {}, isRunning = false, timeout = 3000 } = {},
): Promise<ConnectionsDocument> {
  const whole = {
    receivers: { otlp: { protocols: { http: {} } } },
    exporters: { [exporter]: config },
    service: { pipelines: { [signal]: { receivers: ['otlp'], exporters: [exporter] } } },
    ...more,
  }
  const { plan } = loadPlan({ sources: [`yaml:${JSON.stringify(whole)}`], components, env: {} })
  return checkConnections(plan, { exporters: [], timeout, isRunning })
}

/** The last step of the first destination. */
export const lastStep = ({ exporters }: ConnectionsDocument) => exporters[0]?.destinations[0]?.steps.at(-1)
/** Its steps, each with its result. */
export const stepsOf = ({ exporters }: ConnectionsDocument) =>
  exporters[0]?.destinations[0]?.steps.map(({ step, result }) => `${step} ${result}`)

/** A destination, and what is to be told of it. */
export interface CheckCase {
  readonly of: string
  readonly exporter: string
  /** The configuration, once a server is there. */
  config(): Promise<object>
  readonly steps: readonly string[]
  /** What stands in the text and the hint of the last step. */
  readonly says?: readonly RegExp[]
  readonly timeout?: number
  readonly signal?: string
}
