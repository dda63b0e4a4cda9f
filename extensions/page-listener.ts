/** Pages of an extension on a port of their own. */
import { serverAuthenticator } from '../core/authenticators.ts'
import type { ComponentContext } from '../core/component.ts'
import type { HttpServerConfig } from '../net/http-server-keys.ts'
import { type Binding, listenersKey } from '../net/listeners.ts'
import { PageServer, type PageSource } from '../net/page-server.ts'

/** Serves pages from `start` to `stop`. */
export class PageListener {
  readonly #config: HttpServerConfig
  readonly #context: ComponentContext
  readonly #page: PageSource
  #server: PageServer | undefined
  #binding: Binding | undefined

  constructor(config: HttpServerConfig, context: ComponentContext, page: PageSource) {
    this.#config = config
    this.#context = context
    this.#page = page
  }

  async start(): Promise<void> {
    const { id, log, status, host } = this.#context
    const { auth, endpoint, transport } = this.#config
    const server = new PageServer({
      config: this.#config,
      authenticator: auth && serverAuthenticator(this.#context, auth.authenticator),
      log,
      page: this.#page,
      onTls(error) {
        if (error === undefined) status.set('OK')
        else status.set('RecoverableError', error)
      },
    })
    this.#server = server
    this.#binding = await host.get(listenersKey).listen(endpoint, server.accept, id, transport)
    log.info({ endpoint: this.#binding.address }, 'listening')
  }

  async stop(): Promise<void> {
    await this.#binding?.close()
    this.#server?.stop()
  }
}
