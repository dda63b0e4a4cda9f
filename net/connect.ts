/** Sockets to servers, with and without TLS. */
import net from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { messageOf } from '../core/errors.ts'
import { nodeTls } from './on-demand.ts'

/** How long a quiet connection may be before the system asks whether the peer is there, in milliseconds; as Go does. */
const tcpKeepalive = 15_000

/** Where to. */
export type Destination = { readonly host: string; readonly port: number } | { readonly path: string }

/** Starts to connect; with `options` through TLS, naming the protocol that is to be spoken. */
export function connectSocket(
  to: Destination,
  options: ConnectionOptions | undefined,
  protocol: 'h2' | 'http/1.1',
  serverName?: string,
): net.Socket {
  const common = { ...to, keepAlive: true, keepAliveInitialDelay: tcpKeepalive, noDelay: true }
  if (!options) return net.connect(common)
  // A certificate is checked against an address by itself; SNI takes names only.
  const named = serverName !== undefined && net.isIP(serverName) === 0 ? { servername: serverName } : {}
  return nodeTls().connect({ ...named, ...options, ...common, ALPNProtocols: [protocol] })
}

/** The text of a failure to connect; of several addresses tried in turn, all. */
export function connectFailure(error: unknown, secure: boolean): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return [...new Set(error.errors.map(messageOf))].join('; ')
  }
  const message = messageOf(error)
  if (secure && /wrong version number|packet length too long/i.test(message)) {
    return 'the server does not speak TLS on this port'
  }
  if (!(error instanceof Error && 'reason' in error && typeof error.reason === 'string')) return message
  // OpenSSL's texts are mostly about its own source.
  const hint = error.reason.includes('certificate required') ? '; set `tls.cert_file` and `tls.key_file`' : ''
  return `TLS: ${error.reason}${hint}`
}
