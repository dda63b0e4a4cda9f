/** An HTTP server without a port of its own: connections are handed to it, over TLS where that is configured. */
import { createServer, type Server, type ServerOptions } from 'node:http'
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'
import { maxHeaderBytes } from './header-limits.ts'
import type { HttpServerConfig } from './http-server-keys.ts'
import { handshakeTimeout, ServerTls } from './tls.ts'

export interface PortlessOptions {
  readonly config: Pick<HttpServerConfig, 'tls' | 'idle_timeout'>
  /** Limits of one request, as Node has them. */
  readonly limits: Pick<ServerOptions, 'headersTimeout' | 'requestTimeout' | 'connectionsCheckingInterval'>
  /** Hears what keeps the server from accepting (certificates), and undefined when it is mended. */
  onTls?: ((error: string | undefined) => void) | undefined
  /** Milliseconds for the TLS handshake. */
  readonly handshakeTimeout?: number | undefined
}

/** See above. */
export class PortlessServer {
  /** To hear requests. */
  readonly node: Server | SecureServer
  readonly #tls: ServerTls | undefined
  readonly #sockets = new Set<Socket>()

  constructor({ config, limits, onTls, handshakeTimeout: patience = handshakeTimeout }: PortlessOptions) {
    const { tls, idle_timeout: keepAliveTimeout } = config
    const settings = { ...limits, keepAliveTimeout, maxHeaderSize: maxHeaderBytes }
    if (tls === undefined) {
      this.node = createServer(settings)
      return
    }
    const mutual = tls.client_ca_file !== undefined
    const checks = { handshakeTimeout: patience, requestCert: mutual, rejectUnauthorized: mutual }
    const server = createSecureServer({ ...settings, ...checks })
    this.#tls = new ServerTls(tls, error => onTls?.(error))
    this.#tls.start(made => server.setSecureContext(made))
    this.node = server
  }

  /** Node looks after slow and idle connections from here on, as it does when it has opened the port itself. */
  open(): void {
    this.node.emit('listening')
  }

  /** Takes a connection over. */
  readonly accept = (socket: Socket): void => {
    if (this.#tls?.ready === false) {
      socket.destroy()
      return
    }
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    this.node.emit('connection', socket)
  }

  get connections(): number {
    return this.#sockets.size
  }

  /**
   * Ends idle connections, lets requests that run finish for `deadline` milliseconds, then ends all connections; without a
   * deadline it does so at once. Where another server has taken over (`replaced`), idle ones may send one more request until
   * then: a request that is already on its way when its connection is closed looks like a failure to whoever sent it.
   */
  async stop(deadline = 0, replaced = false): Promise<void> {
    this.#tls?.stop()
    const until = Date.now() + deadline
    if (!replaced) this.#endIdle()
    while (this.#sockets.size > 0 && Date.now() < until) {
      await new Promise(resolve => setTimeout(resolve, 10))
      if (!replaced) this.#endIdle()
    }
    for (const socket of this.#sockets) socket.destroy()
    this.node.close(() => {})
  }

  #endIdle(): void {
    this.node.closeIdleConnections()
    // Node does not call idle what has never sent anything.
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy()
  }
}
