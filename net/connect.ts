/** Sockets to servers, with and without TLS. */
import net from 'node:net'
import type { ConnectionOptions } from 'node:tls'
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
