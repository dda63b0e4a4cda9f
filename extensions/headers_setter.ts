import * as z from 'zod'
import { type ClientAuthenticator, clientAuthenticatorKey } from '../core/auth.ts'

import type { Context } from '../core/context.ts'
import { type Offering, offered } from '../core/capability.ts'
import { type ComponentContext, defineExtension, type Extension } from '../core/component.ts'
import { DeliveryError } from '../core/errors.ts'
import { credential } from '../core/fields.ts'
import type { Touch } from '../core/touch.ts'
import { changedHeaders } from '../net/auth.ts'
import { isHeaderName, isHeaderValue } from '../net/client-keys.ts'
import { faultOfFile, onlyValue, WatchedFile } from './watched-file.ts'

/** What protocols set themselves. */
const reserved =
  /^(?::.*|grpc-.*|te|trailer|connection|keep-alive|upgrade|expect|host|content-type|content-length|content-encoding|transfer-encoding)$/i

const sources = ['value', 'value_file', 'from_context', 'from_attribute'] as const

const value = () =>
  credential().refine(one => isHeaderValue(one.reveal()), { error: 'has a character that headers cannot carry' })

const header = z
  .strictObject({
    action: z
      .enum(['insert', 'update', 'upsert', 'delete'])
      .default('upsert')
      .describe(
        '`insert`: when it is not there; `update`: when it is; `upsert`: in any case; `delete`: takes it away.',
      ),
    key: z
      .string({ error: '`key` is missing; write the name of a header' })
      .superRefine((name, context) => {
        if (!isHeaderName(name)) context.addIssue({ code: 'custom', message: `\`${name}\` is no name of a header` })
        else if (reserved.test(name))
          context.addIssue({ code: 'custom', message: `\`${name}\` is set by the protocol itself; remove it` })
      })
      .describe('Name of the header.'),
    value: value().optional().describe('Its value.'),
    value_file: z
      .string()
      .optional()
      .superRefine((path, context) => {
        if (path === undefined) return
        const fault = path.trim() === '' ? 'it is empty; write the path of a file' : faultOfFile(path, readValue)
        if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
      })
      .describe('File with its value, read again when it changes; while it is empty or gone nothing is sent.'),
    from_context: z
      .string()
      .min(1, { error: 'it is empty; write a name' })
      .optional()
      .describe('Header of the request the data came with; needs `include_metadata` there.'),
    from_attribute: z
      .string()
      .min(1, { error: 'it is empty; write a name' })
      .optional()
      .describe('What the authenticator of the receiver said of the sender, such as `username`.'),
    default_value: value().optional().describe('Value where the request has none; without it the header is left out.'),
  })
  .superRefine((header, context) => {
    const given = sources.filter(source => header[source] !== undefined)
    const wrong = (message: string, key: string) => context.addIssue({ code: 'custom', message, path: [key] })
    const [, second] = given
    if (second !== undefined) wrong(`set one of ${quoted(given)}`, second)
    else if (given.length === 0 && header.action !== 'delete') wrong(`set one of ${quoted(sources)}`, 'value')
    if (header.default_value !== undefined && !header.from_context && !header.from_attribute)
      wrong('has a meaning only beside `from_context` or `from_attribute`', 'default_value')
  })

const quoted = (names: readonly string[]) => names.map(name => `\`${name}\``).join(', ')

const config = z.strictObject({
  headers: z
    .array(header)
    .min(1, { error: '`headers` is empty; name at least one header' })
    .describe('What is done with the headers of requests, in order.'),
  additional_auth: z
    .string()
    .meta({ reference: clientAuthenticatorKey })
    .optional()
    .describe('Id of another extension, whose headers are set first.'),
})
type Config = z.output<typeof config>
type Header = Config['headers'][number]

/** Headers that depend on where data came from, such as the tenant it belongs to. */
export const headersSetter = defineExtension<Config>({
  type: 'headers_setter',
  stability: 'beta',
  runs: 'each',
  summary: 'Sets headers of requests that exporters send, from values or from the request the data came with.',
  signals: [],
  offers: [clientAuthenticatorKey],
  config,
  examples: [
    {
      title: 'The tenant of the sender, handed on; batches must be gathered by `metadata_keys: [X-Scope-OrgID]`',
      config: {
        headers: [{ action: 'upsert', key: 'X-Scope-OrgID', from_context: 'X-Scope-OrgID', default_value: 'shared' }],
      },
    },
    {
      title: 'Beside the credentials of another extension',
      config: { additional_auth: 'bearertokenauth', headers: [{ key: 'X-Team', value: 'shop' }] },
    },
  ],
  touches({ headers }) {
    return headers.flatMap(({ from_context, from_attribute }, i): Touch[] => {
      const reads = (key: string, what: string): Touch => ({ depth: 'request', does: 'reads', key, what })
      return [
        ...(from_context ? [reads(`headers[${i}].from_context`, `metadata.${from_context.toLowerCase()}`)] : []),
        ...(from_attribute ? [reads(`headers[${i}].from_attribute`, `auth.${from_attribute}`)] : []),
      ]
    })
  },
  create: (config, context) => new HeadersSetter(config, context),
})

class HeadersSetter implements Extension {
  readonly offers: readonly Offering[]
  readonly #config: Config
  readonly #context: ComponentContext
  readonly #files: ReadonlyMap<Header, WatchedFile<string>>
  #first: ClientAuthenticator | undefined

  constructor(config: Config, context: ComponentContext) {
    this.#config = config
    this.#context = context
    this.#files = new Map(
      config.headers.flatMap(header =>
        header.value_file === undefined
          ? []
          : [[header, new WatchedFile('value_file', header.value_file, readValue, context)]],
      ),
    )
    const client: ClientAuthenticator = { headers: (from, sent) => this.#headers(from, sent) }
    this.offers = [offered(clientAuthenticatorKey, () => client)]
  }

  start(): void {
    const { additional_auth: id } = this.#config
    if (id !== undefined) this.#first = this.#context.extension(id, clientAuthenticatorKey)
    for (const file of this.#files.values()) file.start()
  }

  stop(): void {
    for (const file of this.#files.values()) file.stop()
  }

  #headers(from: Context, sent: Parameters<ClientAuthenticator['headers']>[1]): Record<string, string | undefined> {
    const changes: Record<string, string | undefined> = { ...this.#first?.headers(from, sent) }
    let all = changedHeaders(sent, changes)
    for (const header of this.#config.headers) {
      const name = header.key.toLowerCase()
      const isThere = Boolean(all[name])
      if (header.action === 'insert' ? isThere : header.action === 'update' && !isThere) continue
      const value = header.action === 'delete' ? undefined : this.#valueOf(header, from)
      if (header.action !== 'delete' && value === undefined) continue
      changes[name] = value
      all = changedHeaders(all, { [name]: value })
    }
    return changes
  }

  #valueOf(header: Header, from: Context): string | undefined {
    const { value, from_context, from_attribute, default_value } = header
    if (value !== undefined) return value.reveal()
    const file = this.#files.get(header)
    if (file !== undefined) return file.value
    const given =
      from_context === undefined
        ? [from.auth?.get(from_attribute ?? '')]
        : (from.metadata?.get(from_context.toLowerCase()) ?? [])
    if (given.length > 1) throw this.#unsendable(header, 'several values')
    const [one] = given
    if (one === undefined || one === '') return default_value?.reveal()
    if (!isHeaderValue(one)) throw this.#unsendable(header, 'a value with a character that headers cannot carry')
    return one
  }

  /** To leave the header out would hand the data to somebody else. */
  #unsendable({ key, from_context, from_attribute }: Header, what: string): DeliveryError {
    const source = from_context ?? from_attribute ?? ''
    return new DeliveryError('DELIVERY_REJECTED', 'rejected', `${this.#context.id}: ${source} has ${what} for ${key}`)
  }
}

function readValue(text: string): string {
  const value = onlyValue(text)
  if (!isHeaderValue(value)) throw new Error('it has a character that headers cannot carry')
  return value
}
