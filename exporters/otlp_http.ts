import * as z from 'zod'
import type { ClientAuthenticator } from '../core/auth.ts'
import { clientAuthenticator } from '../core/authenticators.ts'
import type { Batch } from '../core/batch.ts'
import { sendBody } from '../core/body.ts'
import type { Budget } from '../core/budget.ts'
import { defineExporter, type Exporter, type ExporterContext, type Sent } from '../core/component.ts'
import { ConfigError } from '../core/errors.ts'
import { sending } from '../core/sending.ts'
import { changedHeaders } from '../net/auth.ts'
import { revealed } from '../net/client-keys.ts'
import type { Encoding } from '../net/compression.ts'
import { HttpClient, HttpClientError } from '../net/http-client.ts'
import { checkLevel, encodingOfConfig, httpClient, httpClientOptions } from '../net/http-client-keys.ts'
import { userAgent } from '../net/user-agent.ts'
import { allSignals, type Signal, signals } from '../proto/signals.ts'
import { deliveryErrorOfHttp, jsonType, protobufType, sentOfHttp } from './otlp-answer.ts'
import { budgetOf, compressCharged, jsonBody, protobufBody } from './otlp-body.ts'

const url = (what: string) =>
  z
    .string()
    .default('')
    .superRefine((text, context) => {
      if (text === '') return
      const complaint = complaintAbout(text)
      if (complaint) context.addIssue({ code: 'custom', message: complaint })
    })
    .describe(what)

function complaintAbout(text: string): string | undefined {
  const example = 'such as `http://gateway:4318`'
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return `\`${text}\` has no scheme; write a URL, ${example}`
  if (!URL.canParse(text)) return `\`${text}\` is no URL; write one ${example}`
  const { protocol } = new URL(text)
  return protocol === 'http:' || protocol === 'https:' ? undefined : `\`${text}\`: only http:// and https:// are known`
}

const config = z
  .strictObject({
    endpoint: url('Base URL; `/v1/traces`, `/v1/metrics` or `/v1/logs` is added.'),
    traces_endpoint: url('Whole URL for traces, in place of the one made from `endpoint`.'),
    metrics_endpoint: url('Whole URL for metrics, in place of the one made from `endpoint`.'),
    logs_endpoint: url('Whole URL for logs, in place of the one made from `endpoint`.'),
    profiles_endpoint: z.string().optional().describe('Accepted and without effect: there are no profiles here.'),
    encoding: z.enum(['proto', 'json']).default('proto').describe('What the requests are written in.'),
    ...httpClient({ compression: 'gzip' }),
    ...sending({ timeout: '30s' }),
  })
  .superRefine(checkLevel)
  .refine(c => c.endpoint || c.traces_endpoint || c.metrics_endpoint || c.logs_endpoint, {
    error: '`endpoint` is missing; write a URL, such as `endpoint: http://gateway:4318`',
    path: ['endpoint'],
  })

type Config = z.output<typeof config>

/** OTLP over HTTP. */
export const otlpHttpExporter = defineExporter<Config>({
  type: 'otlp_http',
  aliases: ['otlphttp'],
  stability: 'beta',
  summary: 'Sends to any OTLP backend or collector over HTTP.',
  signals: allSignals,
  ordering: 'none',
  config,
  examples: [
    { title: 'A gateway in the same cluster', config: { endpoint: 'http://gateway:4318' } },
    {
      title: 'Loki, which has a URL of its own',
      config: { logs_endpoint: 'http://loki:3100/otlp/v1/logs', headers: { 'X-Scope-OrgID': 'shop' } },
    },
  ],
  touches({ encoding }) {
    return encoding === 'json'
      ? [{ depth: 'item', does: 'reads', key: 'encoding', what: 'everything, to write it as JSON' }]
      : []
  },
  create(config, context) {
    return new OtlpHttp(config, context)
  },
})

/** Where the requests of one signal go. */
interface Target {
  readonly url: URL
  /** The URL without what might be secret in it. */
  readonly name: string
  readonly headers: Record<string, string>
}

class OtlpHttp implements Exporter {
  readonly #timeout: number
  readonly #json: boolean
  readonly #level: number | undefined
  readonly #encoding: Encoding | undefined
  readonly #targets = new Map<Signal, Target>()
  readonly #client: HttpClient
  readonly #budget: Budget | undefined
  readonly #context: ExporterContext
  readonly #auth: string | undefined
  #authenticator: ClientAuthenticator | undefined

  constructor(config: Config, context: ExporterContext) {
    this.#context = context
    this.#auth = config.auth?.authenticator
    this.#timeout = config.timeout
    this.#json = config.encoding === 'json'
    this.#level = config.compression_params.level || undefined
    const compression = encodingOfConfig(config.compression)
    this.#encoding = compression?.encoding
    for (const signal of allSignals) {
      const target = targetOf(config, signal, compression?.header)
      if (target) this.#targets.set(signal, target)
      else if (context.signals.has(signal)) {
        const key = `${signal}_endpoint`
        throw new ConfigError(
          'CONFIG_INVALID_VALUE',
          `exporter ${context.id} is in a pipeline of ${signal} and has no URL for them; set \`endpoint\` or \`${key}\``,
        )
      }
    }
    this.#client = new HttpClient(httpClientOptions(config))
    this.#budget = budgetOf(context.host)
  }

  start(): void {
    if (this.#auth !== undefined) this.#authenticator = clientAuthenticator(this.#context, this.#auth)
  }

  async send(batch: Batch, abort: AbortSignal): Promise<Sent | undefined> {
    const target = this.#targets.get(batch.signal)
    if (target === undefined) throw new Error(`no URL for ${batch.signal}`)
    const key = `http ${this.#json ? 'json' : ''} ${this.#encoding ?? ''} ${this.#level ?? ''}`
    return sendBody(
      batch,
      key,
      this.#budget,
      () => this.#body(batch),
      body => this.#post(target, batch, body, abort),
    )
  }

  async #post(target: Target, batch: Batch, body: Buffer, abort: AbortSignal): Promise<Sent | undefined> {
    const changes = this.#authenticator?.headers(batch.context, target.headers)
    const headers = changes === undefined ? target.headers : changedHeaders(target.headers, changes)
    try {
      const answer = await this.#client.post(target.url, headers, body, { timeout: this.#timeout, abort })
      return sentOfHttp(answer, batch, target.name, this.#json ? jsonType : protobufType)
    } catch (error) {
      throw error instanceof HttpClientError ? deliveryErrorOfHttp(error, target.name) : error
    }
  }

  stop(): Promise<void> {
    return this.#client.close()
  }

  #body(batch: Batch): Buffer | Promise<Buffer> {
    const plain = this.#json ? jsonBody(batch, this.#budget) : protobufBody(batch, this.#budget)
    return this.#encoding === undefined ? plain : this.#compressed(this.#encoding, plain)
  }

  async #compressed(encoding: Encoding, plain: Buffer): Promise<Buffer> {
    const body = await compressCharged(this.#budget, encoding, this.#level, plain)
    this.#budget?.pool.give(plain)
    return body
  }
}

function targetOf(config: Config, signal: Signal, contentEncoding: string | undefined): Target | undefined {
  const whole = config[`${signal}_endpoint`]
  if (!whole && !config.endpoint) return undefined
  const url = new URL(whole || config.endpoint)
  if (!whole) url.pathname = url.pathname.replace(/\/$/, '') + signals[signal].path
  const type = config.encoding === 'json' ? jsonType : protobufType
  const headers: Record<string, string> = { 'content-type': type, 'user-agent': userAgent }
  if (contentEncoding) headers['content-encoding'] = contentEncoding
  // A name and a password in the URL are what Go's client makes of them.
  if (url.username) {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
    headers['authorization'] = `Basic ${Buffer.from(credentials).toString('base64')}`
  }
  return { url, name: url.origin + url.pathname, headers: { ...headers, ...revealed(config.headers) } }
}
