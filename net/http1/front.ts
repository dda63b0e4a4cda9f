/** Where connections of HTTP/1.1 come in: through the gate and, where that is configured, through TLS. */
import type { Socket } from 'node:net'
import type { Admission } from '../admission.ts'
import { Gate } from '../gate.ts'
import { ConnectionShare, Peer } from '../occupancy.ts'
import type { Presented } from '../server-tls.ts'
import { TlsDoor } from '../tls-door.ts'
import type { TlsServerConfig } from '../tls.ts'

export interface FrontOptions {
  readonly tls: TlsServerConfig | undefined
  /** What was presented at this address before. */
  readonly presented: Presented | undefined
  readonly admission: Admission
  /** Hears what is wrong with the certificates, and undefined when it is mended. */
  onTls(error: string | undefined): void
  /** Milliseconds for the TLS handshake. */
  readonly handshakeTimeout?: number | undefined
  /** Takes a connection over that may talk. */
  open(socket: Socket, share: ConnectionShare): void
}

/** See above. */
export class Front {
  readonly #options: FrontOptions
  readonly #gate: Gate
  readonly #tls: TlsDoor | undefined

  constructor(options: FrontOptions) {
    const { tls, admission, handshakeTimeout } = options
    this.#options = options
    const gate = (this.#gate = new Gate(admission, tls !== undefined))
    if (tls === undefined) return
    this.#tls = new TlsDoor({
      tls,
      presented: options.presented,
      protocol: 'http/1.1',
      admission,
      gate,
      handshakeTimeout,
      onTls: error => options.onTls(error),
      open: socket => this.#open(socket),
    })
  }

  /** All connections that are open; where there is TLS, what it stands on. */
  get sockets(): ReadonlySet<Socket> {
    return this.#gate.sockets
  }

  /** Takes a connection over. */
  accept(socket: Socket): void {
    if (this.#tls?.isReady === false) {
      socket.destroy()
      return
    }
    if (!this.#gate.admit(socket)) return
    if (this.#tls === undefined) this.#open(socket)
    else this.#tls.accept(socket)
  }

  /** No certificates are read any more. */
  stop(): void {
    this.#tls?.stop()
  }

  #open(socket: Socket): void {
    this.#options.open(socket, this.#shareOf(socket))
  }

  /** What a connection takes up. With TLS over a unix socket nothing tells which it is, so it is counted twice. */
  #shareOf(socket: Socket): ConnectionShare {
    const known = this.#gate.shareOf(socket)
    if (known !== undefined) return known
    const { admission } = this.#options
    const share = admission.enter(undefined)
    if (share === undefined) {
      socket.destroy()
      return new ConnectionShare(new Peer(''))
    }
    socket.once('close', () => admission.leave(share))
    return share
  }
}
