/**
 * Senders with a connection for each request, as command lines and short jobs have them. Whatever happens to a call is
 * heard: nothing is sent again by the client itself, not even what HTTP/2 says nobody has seen.
 */
import { Client as GrpcClient, credentials, status } from '@grpc/grpc-js'
import type { Shape } from './ids.ts'
import { type Client, grpcClient, type Heard, httpClient } from './senders.ts'

/** What makes the connections: HTTP/2 of Node as it is, with TLS and without, the gRPC client of Node, HTTP/1.1 of Node. */
export type FreshKind = 'grpc' | 'grpc-tls' | 'grpc-js' | 'http'

/** A client of which each request has a connection of its own. */
export function freshClient(kind: FreshKind, port: number): Client {
  return {
    async send(signal, body, patience) {
      const client = once(kind, port)
      const heard = await client.send(signal, body, patience)
      client.close()
      return heard
    },
    close: () => {},
  }
}

function once(kind: FreshKind, port: number): Client {
  if (kind === 'http') return httpClient(port, { connection: 'close' })
  return kind === 'grpc-js' ? grpcJsClient(port) : grpcClient(port, kind === 'grpc-tls', {}, 1)
}

const codes = new Map(Object.entries(status).map(([name, code]) => [code, name]))

/** As SDKs of Node have it, but without their retries and with a pool of connections of its own. */
function grpcJsClient(port: number): Client {
  const options = {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
    'grpc.initial_reconnect_backoff_ms': 100,
  }
  const client = new GrpcClient(`127.0.0.1:${port}`, credentials.createInsecure(), options)
  const same = (bytes: Buffer): Buffer => bytes
  return {
    send: (signal: Shape['signal'], body, patience) =>
      new Promise<Heard>(resolve => {
        const service = signal === 'traces' ? 'trace.v1.TraceService' : 'logs.v1.LogsService'
        const path = `/opentelemetry.proto.collector.${service}/Export`
        client.makeUnaryRequest(path, same, same, body, { deadline: Date.now() + patience }, error => {
          if (error === null) return resolve({ what: 'success', rejected: 0 })
          const { code, details } = error
          const message = `${codes.get(code)}: ${details}`
          // Only what a destination refuses is said with this text; all else is of the connection.
          if (code === status.UNAVAILABLE && details === 'no')
            resolve({ what: 'refused', code, after: undefined, message })
          else resolve({ what: details.includes('ECONNREFUSED') ? 'unreached' : 'unknown', message })
        })
      }),
    close: () => client.close(),
  }
}
