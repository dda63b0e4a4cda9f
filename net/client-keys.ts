/** What the configurations of all clients share, with the Collector's keys. */
import * as z from 'zod'
import { isEmptyCredential } from '../core/auth.ts'
import { emptyCredential, secret, type Secret } from '../core/fields.ts'
import { readClientTls, tlsClient, type TlsClientConfig } from './tls.ts'

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** What may not stand in a header's value (RFC 9110, 5.5). */
// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u0008\u000a-\u001f\u007f]|[^\u0000-\u00ff]/

/** Whether a text may name a header. */
export const isHeaderName = (text: string): boolean => token.test(text)

/** Whether a header can carry a text. */
export const isHeaderValue = (text: string): boolean => !control.test(text)

/** Headers by name. `reserved` are those that the protocol sets itself. */
export const headers = (reserved: RegExp) =>
  z
    .union([
      z.record(z.string(), secret()),
      z
        .array(
          z.strictObject({ name: z.string().describe('Name of the header.'), value: secret().describe('Its value.') }),
        )
        .transform(list => Object.fromEntries(list.map(({ name, value }) => [name, value]))),
    ])
    .nullish()
    .transform((given, context): Record<string, Secret> => {
      for (const [name, value] of Object.entries(given ?? {})) {
        const wrong = (message: string) => context.addIssue({ code: 'custom', message, path: [name] })
        if (!isHeaderName(name)) wrong(`\`${name}\` is no name of a header`)
        else if (reserved.test(name)) wrong(`\`${name}\` is set by the protocol itself; remove it`)
        else if (!isHeaderValue(value.reveal()))
          wrong(`the value of \`${name}\` has a character that headers cannot carry`)
        else if (isEmptyCredential(name, value.reveal())) wrong(`\`${name}\`: ${emptyCredential}`)
      }
      return given ?? {}
    })
    .describe('Headers sent with each request, such as credentials.')

/** Headers as they are sent. */
export function revealed(headers: Readonly<Record<string, Secret>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value.reveal()]))
}

const noTls = tlsClient().parse({})

/** `tls` of a client; a section without content is as if it was not there. */
export const tls = () =>
  tlsClient()
    .nullish()
    .transform(given => given ?? noTls)
    .describe('TLS of the connection; on unless `insecure: true`.')

/** Makes the options of each new connection, so that certificates that changed are used. */
export const tlsReader = (tls: TlsClientConfig) => () => readClientTls({ ...tls, insecure: false }) ?? {}

/** A key that is accepted, so that a configuration can be brought along, and does nothing here. */
export const unused = (why: string) => z.unknown().describe(`Accepted and without effect: ${why}`)

/** A key that would change what is sent and which this build cannot honour. */
export const missing = (name: string, what: string) =>
  z
    .unknown()
    .refine(value => value === undefined || value === null || (Array.isArray(value) && value.length === 0), {
      error: `this build has no ${what} yet; remove \`${name}\``,
    })
    .describe('Not supported yet.')
