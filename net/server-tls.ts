/** The certificates of a running server: read when it starts, and again when they change. */
import type { SecureContextOptions } from 'node:tls'
import { timerWait } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import {
  type CertificateAndKey,
  faultOfIdentity,
  readAuthorities,
  readIdentity,
  settingsOf,
  type TlsServerConfig,
  type TlsServerOptions,
} from './tls.ts'

/** Milliseconds for the handshake of a connection that comes in. */
export const handshakeTimeout = 10_000

/** How often missing files are looked for, in milliseconds. */
const retryInterval = 5000

/**
 * What is presented at one address, kept for whoever serves there next: a configuration with a certificate that cannot be used
 * goes on with the one before.
 */
export interface Presented {
  identity?: CertificateAndKey
  authorities?: { readonly file: string | undefined; readonly ca: SecureContextOptions['ca'] }
}

/**
 * The certificates of a running server. As long as there are none that can be used the server takes no connection; it does as
 * soon as there are.
 */
export class ServerTls {
  readonly #config: TlsServerConfig
  readonly #onChange: (error: string | undefined) => void
  readonly #presented: Presented
  #apply: ((options: TlsServerOptions) => void) | undefined
  #timer: NodeJS.Timeout | undefined
  /** Whether there are certificates to serve with. */
  ready = false
  /** What is wrong with the files; undefined when they are in use. */
  error: string | undefined = 'certificates have not been read yet'

  /**
   * `onChange` hears what is wrong with the files, and undefined when it is mended; `presented` is what was used at this address
   * before.
   */
  constructor(config: TlsServerConfig, onChange: (error: string | undefined) => void, presented: Presented = {}) {
    this.#config = config
    this.#onChange = onChange
    this.#presented = presented
  }

  /** Reads the files, hands them to `apply`, and again whenever they are read again. */
  start(apply: (options: TlsServerOptions) => void): void {
    this.#apply = apply
    this.#load()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#apply = undefined
  }

  #load(): void {
    const before = this.error
    try {
      this.#use()
      this.error = undefined
    } catch (error) {
      // Certificates that were good stay in use when their successors are not.
      this.error = this.#goOn(faultOfIdentity(this.#config) ?? messageOf(error))
    }
    if (this.error !== before) this.#onChange(this.error)
    const { reload_interval: interval, client_ca_file_reload: reloadClientCa } = this.#config
    const next = this.error !== undefined ? retryInterval : interval > 0 ? interval : reloadClientCa ? retryInterval : 0
    if (next > 0) this.#timer = setTimeout(() => this.#load(), timerWait(next)).unref()
  }

  #use(): void {
    const { ca } = readAuthorities(this.#config)
    const identity = readIdentity(this.#config)
    this.#serve(identity, ca)
    this.ready = true
    this.#presented.identity = identity
    this.#presented.authorities = { file: this.#config.client_ca_file, ca }
  }

  #serve(identity: CertificateAndKey, ca: SecureContextOptions['ca']): void {
    this.#apply?.({ ...settingsOf(this.#config), ...identity, ...(ca !== undefined && { ca }) })
  }

  /** Serves with what was presented before, where clients are then trusted for the same reason. Says what is wrong with the files. */
  #goOn(error: string): string {
    const { identity, authorities } = this.#presented
    if (!this.ready && identity && authorities && authorities.file === this.#config.client_ca_file) {
      try {
        this.#serve(identity, authorities.ca)
        this.ready = true
      } catch {
        // Not even that goes with these settings.
      }
    }
    return this.ready
      ? `${error}; the certificate of before is presented`
      : `${error}; nobody is let in until there is one`
  }
}
