/** An HTTP server without a port of its own: connections are handed to it, over TLS where that is configured. */
import { timerWait } from '../core/clock.ts'
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'
import { maxHeaderBytes } from './header-limits.ts'
import { Gate, type Places } from './gate.ts'
import type { PageServerConfig } from './http-server-keys.ts'
import { occupancyLimits } from './limit-keys.ts'
import { isLoopback } from './local-host.ts'
import { type ConnectionShare, Occupancy } from './occupancy.ts'
import { nodeHttps } from './on-demand.ts'
import { handshakeTimeout, type Presented, ServerTls } from './server-tls.ts'

export interface PortlessOptions {
  readonly config: Pick<PageServerConfig, 'tls' | 'idle_timeout'> & Partial<Pick<PageServerConfig, 'limits'>>
  /** Who decides whether there is a place for a connection; without it `limits` of the configuration do. */
  readonly places?: Places
  /** Limits of one request, as Node has them. */
  readonly limits: Pick<ServerOptions, 'headersTimeout' | 'requestTimeout' | 'connectionsCheckingInterval'>
  /** What was presented at this address before. */
  readonly presented?: Presented | undefined
  /** Hears what is wrong with the certificates, and undefined when it is mended. */
  onTls?: ((error: string | undefined) => void) | undefined
  /** Milliseconds for the TLS handshake. */
  readonly handshakeTimeout?: number | undefined
  /** Most connections: one more ends an idle one. Of one peer elsewhere a quarter of them. Without it none is ended for another. */
  readonly most?: number | undefined
  /** Milliseconds in which an answer that is made must be taken. Without it there is no limit. */
  readonly answerWithin?: number | undefined
}

/** Milliseconds that a server of small pages has for its last answers: a round trip, and whoever reads slowly. No data waits for it. */
export const lastAnswers = 1000

/** A connection that requests come over. */
interface Asking {
  /** The answer to its last request, until that is over; those to earlier ones go before it. */
  answer: ServerResponse | undefined
  /** Bytes that had come when its last answer was over: with more than that, a request has begun. */
  heard: number
}

/** See above. */
export class PortlessServer {
  /** To hear requests. */
  readonly node: Server | SecureServer
  readonly #tls: ServerTls | undefined
  readonly #gate: Gate
  readonly #most: number
  /** Those with a request that has no answer yet, where idle ones are ended for others. */
  readonly #busy = new Set<Socket>()
  /** By the socket that HTTP is spoken on, which TLS makes of the one that was accepted. */
  readonly #asking = new Map<Socket, Asking>()
  #isLast = false

  constructor(options: PortlessOptions) {
    const { config, places, limits, onTls, handshakeTimeout: patience = handshakeTimeout, most, answerWithin } = options
    this.#gate = new Gate(places ?? standAlone(config), config.tls !== undefined)
    this.#most = most ?? Infinity
    const { tls, idle_timeout: keepAliveTimeout } = config
    const settings = { ...limits, keepAliveTimeout, maxHeaderSize: maxHeaderBytes }
    if (tls === undefined) {
      this.node = createServer(settings)
      this.#follow('connection')
      this.#attend(most, answerWithin)
      return
    }
    const mutual = tls.client_ca_file !== undefined
    const checks = { handshakeTimeout: patience, requestCert: mutual, rejectUnauthorized: mutual }
    const server = nodeHttps().createServer({ ...settings, ...checks })
    this.#tls = new ServerTls(tls, error => onTls?.(error), options.presented)
    this.#tls.start(made => server.setSecureContext(made))
    server.on('secureConnection', socket => this.#gate.shaken(socket))
    this.node = server
    this.#follow('secureConnection')
    this.#attend(most, answerWithin)
  }

  /** Notes where requests run. Node calls a connection idle as soon as its answer is made, however much is still to be written. */
  #follow(opened: 'connection' | 'secureConnection'): void {
    this.node.on(opened, (socket: Socket) => {
      this.#asking.set(socket, { answer: undefined, heard: 0 })
      socket.once('close', () => this.#asking.delete(socket))
    })
    this.node.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
      if (this.#isLast) response.shouldKeepAlive = false
      const asking = this.#asking.get(socket)
      if (asking === undefined) return
      asking.answer = response
      response.once('close', () => {
        if (asking.answer !== response) return
        asking.answer = undefined
        asking.heard = socket.bytesRead
      })
    })
  }

  /** Notes who has asked something, and ends who does not take the answer. */
  #attend(most: number | undefined, answerWithin: number | undefined): void {
    if (most === undefined && answerWithin === undefined) return
    this.node.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
      const raw = most === undefined ? undefined : this.#rawOf(socket)
      if (raw !== undefined) this.#busy.add(raw)
      let timer: NodeJS.Timeout | undefined
      response.once('prefinish', () => {
        if (answerWithin !== undefined) timer = setTimeout(() => socket.destroy(), timerWait(answerWithin)).unref()
      })
      response.once('close', () => {
        clearTimeout(timer)
        if (raw !== undefined) this.#busy.delete(raw)
      })
    })
  }

  /** The connection that was accepted, where TLS stands on it. */
  #rawOf(socket: Socket): Socket | undefined {
    const { sockets } = this.#gate
    if (sockets.has(socket)) return socket
    const { remoteAddress, remotePort } = socket
    for (const one of sockets) if (one.remotePort === remotePort && one.remoteAddress === remoteAddress) return one
    return undefined
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
    if (this.#most < Infinity && !this.#makeRoom(socket.remoteAddress)) {
      socket.destroy()
      return
    }
    if (this.#gate.admit(socket)) this.node.emit('connection', socket)
  }

  /** Whether there is room for one more of `peer`, or could be made. Who is new goes before who only waits. */
  #makeRoom(peer: string | undefined): boolean {
    const { sockets } = this.#gate
    const isElsewhere = peer !== undefined && !isLoopback(peer.replace(/^::ffff:/, ''))
    const own = isElsewhere ? [...sockets].filter(one => one.remoteAddress === peer && !one.destroyed) : []
    if (isElsewhere && own.length >= Math.max(1, this.#most >> 2)) return this.#endIdleOf(own)
    return sockets.size < this.#most || this.#endIdleOf(sockets)
  }

  /** Ends the one that was accepted first of those that have asked nothing. */
  #endIdleOf(sockets: Iterable<Socket>): boolean {
    for (const socket of sockets) {
      if (this.#busy.has(socket) || socket.destroyed) continue
      socket.destroy()
      return true
    }
    return false
  }

  get connections(): number {
    return this.#gate.sockets.size
  }

  /** What the connection takes up that `socket`, of a request, belongs to. */
  shareOf(socket: Socket): ConnectionShare | undefined {
    return this.#gate.shareOf(socket)
  }

  /**
   * From now on every answer is the last of its connection, and says so. Idle ones end, unless another server has taken over
   * (`replaced`): those may send one more request, as one that is already on its way when its connection is closed looks like
   * a failure to whoever sent it.
   */
  retire(replaced: boolean): void {
    this.#isLast = true
    // Of several on one connection the last, or the others would never be written.
    for (const { answer } of this.#asking.values()) if (answer?.headersSent === false) answer.shouldKeepAlive = false
    if (!replaced) this.#endIdle()
  }

  /**
   * Retires, lets requests that run finish for `deadline` milliseconds, and those that idle connections may still send where
   * another server has taken over (`replaced`), then ends all connections.
   */
  async stop(deadline: number, replaced = false): Promise<void> {
    this.#tls?.stop()
    const until = Date.now() + deadline
    this.retire(replaced)
    const { sockets } = this.#gate
    while (sockets.size > 0 && Date.now() < until) {
      await new Promise(resolve => setTimeout(resolve, 10))
      if (!replaced) this.#endIdle()
    }
    for (const socket of sockets) socket.destroy()
    this.node.close(() => {})
  }

  #endIdle(): void {
    for (const [socket, { answer, heard }] of this.#asking)
      if (answer === undefined && socket.bytesRead === heard) socket.destroy()
    // What has not even begun its handshake.
    for (const socket of this.#gate.sockets) if (socket.bytesRead === 0) socket.destroy()
  }
}

/** Places of a server that charges nothing. */
function standAlone({ limits }: PortlessOptions['config']): Places {
  const refusals = { connections: 0, requests: 0, peer: 0, unread: 0, flood: 0 }
  return new Occupancy(occupancyLimits(limits ?? {}), refusals, undefined, undefined)
}
