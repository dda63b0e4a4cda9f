/** What exporters over HTTP share: client, authenticator, bodies that are made once, compressed and charged. */
import type { Cancellation } from '../core/cancellation.ts'
import { type ClientAuthenticator, clientAuthenticatorKey } from '../core/auth.ts'
import type { Batch } from '../core/batch.ts'
import { type Body, type BodyFormat, sendBody } from '../core/body.ts'
import { type Budget, budgetKey } from '../core/budget.ts'
import type { ExporterContext } from '../core/component.ts'
import type { SendingConfig } from '../core/sending.ts'
import { changedHeaders } from '../net/auth.ts'
import { revealed } from '../net/client-keys.ts'
import type { Encoding } from '../net/compression.ts'
import { type HttpAnswer, HttpClient, HttpClientError } from '../net/http-client.ts'
import { encodingOfConfig, type HttpClientConfig, httpClientOptions } from '../net/http-client-keys.ts'
import { userAgent } from '../net/user-agent.ts'
import { answeredByPage, deliveryErrorOfHttp, isWebPage } from './http-answer.ts'
import { CompressedFormat } from './otlp-body.ts'

/** Where requests go. */
export interface Target {
  readonly url: URL
  /** The URL without what might be secret in it. */
  readonly name: string
  readonly headers: Record<string, string>
}

/** What of an exporter's configuration this reads. */
export type PushConfig = HttpClientConfig & Pick<SendingConfig, 'timeout'>

/** Posts batches to a backend. */
export class HttpPush {
  readonly budget: Budget | undefined
  readonly #config: PushConfig
  readonly #context: ExporterContext
  readonly #client: HttpClient
  readonly #encoding: Encoding | undefined
  readonly #level: number | undefined
  readonly #contentEncoding: string | undefined
  #authenticator: ClientAuthenticator | undefined

  constructor(config: PushConfig, context: ExporterContext) {
    this.#config = config
    this.#context = context
    this.#client = new HttpClient(httpClientOptions(config))
    this.budget = context.host.find(budgetKey)
    const compression = encodingOfConfig(config.compression)
    this.#encoding = compression?.encoding
    this.#contentEncoding = compression?.header
    this.#level = config.compression_params.level || undefined
  }

  /** Where requests to `url` go, with the configured headers and `headers` below them. */
  target(url: URL, headers: Readonly<Record<string, string>>): Target {
    const own: Record<string, string> = { 'user-agent': userAgent, ...headers }
    if (this.#contentEncoding) own['content-encoding'] = this.#contentEncoding
    // A name and a password in the URL are what Go's client makes of them.
    if (url.username) {
      const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
      own['authorization'] = `Basic ${Buffer.from(credentials).toString('base64')}`
    }
    return { url, name: url.origin + url.pathname, headers: { ...own, ...revealed(this.#config.headers) } }
  }

  /** Finds the authenticator, once extensions run. */
  start(): void {
    const id = this.#config.auth?.authenticator
    if (id !== undefined) this.#authenticator = this.#context.extension(id, clientAuthenticatorKey)
  }

  /** The format, compressed as configured. */
  compressed<B extends Body>(format: BodyFormat<B>): BodyFormat<B> {
    return this.#encoding === undefined ? format : new CompressedFormat(format, this.#encoding, this.#level)
  }

  /**
   * Posts what `format` makes of the batch: one that is `compressed` where the target says so.
   * @throws DeliveryError when there is no answer
   */
  send<B extends Body>(
    target: Target,
    batch: Batch,
    format: BodyFormat<B>,
    cancellation: Cancellation,
  ): Promise<{ readonly answer: HttpAnswer; readonly body: B }> {
    return sendBody(batch, format, this.budget, async body => ({
      answer: await this.post(target, batch, body.bytes, cancellation),
      body,
    }))
  }

  /**
   * Posts bytes that were made of the batch for this destination alone, compressed as configured; taken over from the caller.
   * @throws DeliveryError when there is no answer
   */
  sendBytes(
    target: Target,
    batch: Batch,
    bytes: Buffer,
    cancellation: Cancellation,
  ): Promise<{ readonly answer: HttpAnswer }> {
    return this.send(target, batch, this.compressed({ write: () => ({ bytes }) }), cancellation)
  }

  /**
   * Posts bytes as they are; they have to be compressed already where the target says so.
   * @throws DeliveryError when there is no answer, or whoever answered took the request for a browser's
   */
  async post(target: Target, { context }: Batch, body: Buffer, cancellation: Cancellation): Promise<HttpAnswer> {
    const changes = this.#authenticator?.headers(context, target.headers)
    const headers = changes === undefined ? target.headers : changedHeaders(target.headers, changes)
    let answer: HttpAnswer
    try {
      answer = await this.#client.post(target.url, headers, body, { timeout: this.#config.timeout, cancellation })
    } catch (error) {
      throw error instanceof HttpClientError ? deliveryErrorOfHttp(error, target.name) : error
    }
    if (isWebPage(answer)) throw answeredByPage(target.name)
    return answer
  }

  /**
   * Asks for something that is no data.
   * @throws DeliveryError when there is no answer
   */
  async get(target: Target, cancellation: Cancellation): Promise<HttpAnswer> {
    // There is no body that these would describe.
    const { 'content-type': _type, 'content-encoding': _encoding, ...headers } = target.headers
    try {
      return await this.#client.get(target.url, headers, { timeout: this.#config.timeout, cancellation })
    } catch (error) {
      throw error instanceof HttpClientError ? deliveryErrorOfHttp(error, target.name) : error
    }
  }

  stop(): Promise<void> {
    return this.#client.close()
  }
}
