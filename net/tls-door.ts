/** TLS in front of a server: does the handshakes, and says of those that fail why. */
import type { Socket } from 'node:net'
import type { Server, TLSSocket } from 'node:tls'
import { messageOf } from '../core/errors.ts'
import type { Admission } from './admission.ts'
import type { Gate } from './gate.ts'
import { nodeTls } from './on-demand.ts'
import { handshakeTimeout, type Presented, ServerTls } from './server-tls.ts'
import type { TlsServerConfig } from './tls.ts'

/** What a door of TLS is made of. */
export interface TlsDoorOptions {
  readonly tls: TlsServerConfig
  /** What was presented at this address before. */
  readonly presented: Presented | undefined
  /** What is spoken behind it, as ALPN has it. */
  readonly protocol: 'h2' | 'http/1.1'
  readonly admission: Admission
  readonly gate: Gate
  /** Milliseconds for the handshake. */
  readonly handshakeTimeout?: number | undefined
  /** Hears what keeps it from accepting (certificates), and undefined when it is mended. */
  onTls(error: string | undefined): void
  /** Takes a connection over that may talk. */
  open(socket: TLSSocket): void
}

const faults: Readonly<Record<string, string>> = {
  ERR_SSL_HTTP_REQUEST: 'it speaks plain HTTP, and this port speaks TLS: is the sender set to TLS?',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS, and this port does: is the sender set to TLS?',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'it has no certificate, and `client_ca_file` asks for one',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'it offers none of the protocols of this port: is it meant for another port?',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'it offers no version of TLS that `min_version` and `max_version` allow',
  ERR_SSL_NO_SHARED_CIPHER: 'it offers no cipher that this port has (`cipher_suites`)',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'its TLS handshake takes too long',
}
const left = 'it went away in the middle of the TLS handshake: does it trust the certificate of this port?'
const leftMutual = `${left} Or its own is not signed as \`client_ca_file\` asks for`

/** See above. */
export class TlsDoor {
  readonly #server: Server
  readonly #tls: ServerTls
  readonly #admission: Admission
  readonly #gate: Gate

  constructor({ tls, presented, protocol, admission, gate, onTls, open, ...options }: TlsDoorOptions) {
    const isMutual = tls.client_ca_file !== undefined
    const server = nodeTls().createServer({
      ALPNProtocols: [protocol],
      handshakeTimeout: options.handshakeTimeout ?? handshakeTimeout,
      requestCert: isMutual,
      rejectUnauthorized: isMutual,
    })
    this.#admission = admission
    this.#gate = gate
    gate.onUnshaken = peer => admission.strange('handshake', peer, isMutual ? leftMutual : left)
    server.on('secureConnection', socket => {
      gate.shaken(socket)
      open(socket)
    })
    server.on('tlsClientError', (error, socket) => this.#failed(error, socket))
    this.#tls = new ServerTls(tls, onTls, presented)
    this.#tls.start(made => server.setSecureContext(made))
    this.#server = server
  }

  /** Whether there are certificates to serve with. */
  get isReady(): boolean {
    return this.#tls.ready
  }

  /** Takes a connection over that the gate has let in. */
  accept(socket: Socket): void {
    this.#server.emit('connection', socket)
  }

  /** No certificates are read any more. */
  stop(): void {
    this.#tls.stop()
  }

  /** Of one that is gone already nothing tells which it was: the gate sees it go. */
  #failed(error: Error, socket: TLSSocket): void {
    const { remoteAddress } = socket
    const code = 'code' in error ? String(error.code) : ''
    if (remoteAddress !== undefined && code !== 'ECONNRESET') {
      this.#gate.shaken(socket)
      this.#admission.strange('handshake', remoteAddress, faults[code] ?? ended(error, code))
    }
    socket.destroy()
  }
}

/** What TLS itself calls the fault; alerts are what the other side says. */
function ended(error: Error, code: string): string {
  const reason = 'reason' in error ? String(error.reason) : messageOf(error)
  return code.includes('_ALERT_') ? `it ended the TLS handshake: ${reason}` : `the TLS handshake failed: ${reason}`
}
