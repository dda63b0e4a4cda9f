/** Pages of an extension on a port of their own. */
import { serverAuthenticatorKey } from '../core/auth.ts'
import type { ComponentContext } from '../core/component.ts'
import { CertificateStatus } from '../net/certificate-status.ts'
import type { PageServerConfig } from '../net/http-server-keys.ts'
import { type Binding, listenersKey } from '../net/listeners.ts'
import { PageServer, type PageSource } from '../net/page-server.ts'

/** Serves pages from `start` to `stop`. */
export class PageListener {
  readonly #config: PageServerConfig
  readonly #context: ComponentContext
  readonly #page: PageSource
  readonly #names: readonly string[] | undefined
  readonly #certificates: CertificateStatus
  #server: PageServer | undefined
  #binding: Binding | undefined

  /**
   * `names`: what the server is called; without a list any name may be its own where the network may connect.
   * `certificates`: where the component has other servers, too.
   */
  constructor(
    config: PageServerConfig,
    context: ComponentContext,
    page: PageSource,
    names?: readonly string[],
    certificates = new CertificateStatus(context.status),
  ) {
    this.#config = config
    this.#context = context
    this.#page = page
    this.#names = names
    this.#certificates = certificates
  }

  async start(): Promise<void> {
    const { id, log, host } = this.#context
    const { auth, endpoint, transport } = this.#config
    const listeners = host.get(listenersKey)
    const server = new PageServer({
      config: this.#config,
      authenticator: auth && this.#context.extension(auth.authenticator, serverAuthenticatorKey),
      log,
      page: this.#page,
      names: this.#names,
      presented: listeners.presented(endpoint, transport),
      onTls: error => this.#certificates.tell('http', error),
    })
    this.#server = server
    this.#binding = await listeners.listen(endpoint, server.accept, id, transport)
    log.info({ endpoint: this.#binding.address }, 'listening')
  }

  async stop(): Promise<void> {
    const replaced = this.#binding?.replaced
    await Promise.all([this.#binding?.close(), this.#server?.stop(replaced)])
  }
}
