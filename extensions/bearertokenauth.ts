import { createHmac, randomBytes } from 'node:crypto'
import * as z from 'zod'
import {
  AuthError,
  type ClientAuthenticator,
  clientAuthenticatorKey,
  type Identity,
  type ServerAuthenticator,
  serverAuthenticatorKey,
} from '../core/auth.ts'
import { offered } from '../core/capability.ts'
import { type ComponentContext, defineExtension, type Extension } from '../core/component.ts'
import { elementAt } from '../core/element-at.ts'
import { credential } from '../core/fields.ts'
import { isHeaderName, isHeaderValue } from '../net/client-keys.ts'
import { faultOfFile, WatchedFile } from './watched-file.ts'

const token = () =>
  credential().refine(value => isHeaderValue(value.reveal()), { error: 'has a character that headers cannot carry' })

const config = z
  .strictObject({
    scheme: z.string().default('Bearer').describe('Word in front of the token; the empty text stands for none.'),
    header: z
      .string()
      .default('Authorization')
      .refine(isHeaderName, { error: 'is no name of a header' })
      .describe('Header that has the token.'),
    token: token().optional().describe('The token.'),
    tokens: z.array(token()).default([]).describe('Tokens that are let in; the first of them is sent.'),
    filename: z
      .string()
      .default('')
      .superRefine((path, context) => {
        const fault = path === '' ? undefined : faultOfFile(path, linesOf)
        if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
      })
      .describe(
        'File with a token on each line, read again when it changes; goes before the others. While it is empty or gone nobody is let in, and nothing is sent.',
      ),
  })
  .refine(c => c.filename !== '' || c.token !== undefined || c.tokens.length > 0, {
    error: 'set one of `token`, `tokens` and `filename`',
    path: ['token'],
  })
  .refine(c => c.token === undefined || c.tokens.length === 0, {
    error: 'set `token` or `tokens`, not both',
    path: ['tokens'],
  })
type Config = z.output<typeof config>

/** Tokens that whoever has them may come in with. */
export const bearertokenauth = defineExtension<Config>({
  type: 'bearertokenauth',
  stability: 'beta',
  runs: 'each',
  summary: 'Sends a token, or lets in who has it.',
  signals: [],
  offers: [serverAuthenticatorKey, clientAuthenticatorKey],
  config,
  examples: [
    { title: 'One token, to send or to ask for', config: { token: '${env:TOKEN}' } },
    {
      title: 'A token that is renewed, such as that of a service account',
      config: { filename: '/var/run/secrets/token' },
    },
    {
      title: 'A key in a header of its own, and the one before it while senders still have it',
      config: { header: 'X-API-Key', scheme: '', tokens: ['${env:KEY}', '${env:OLD_KEY}'] },
    },
  ],
  create: (config, context) => extensionOf(config, context),
})

/** A header value and what those that are let in are compared by. */
interface Values {
  readonly sent: string
  readonly digests: ReadonlySet<string>
}

/** Nothing is known of who has a token but that. */
const nobody: Identity = new Map()

function extensionOf({ scheme, header, token, tokens, filename }: Config, context: ComponentContext): Extension {
  const name = header.toLowerCase()
  // With a key of this process nobody can aim at a digest: how far it is equal to another, or where it is kept, tells nothing.
  const key = randomBytes(32)
  const digestOf = (text: string): string => createHmac('sha256', key).update(text).digest('base64')
  const valuesOf = (given: readonly string[]): Values => {
    const values = given.map(one => (scheme === '' ? one : `${scheme} ${one}`))
    return { sent: elementAt(values, 0), digests: new Set(values.map(digestOf)) }
  }
  const written = [...(token === undefined ? [] : [token]), ...tokens]
  const file =
    filename === '' ? undefined : new WatchedFile('filename', filename, text => valuesOf(linesOf(text)), context)
  const known = file ?? { value: valuesOf(written.map(one => one.reveal())) }
  const client: ClientAuthenticator = { headers: () => ({ [name]: known.value.sent }) }
  const server: ServerAuthenticator = {
    authenticate: given => {
      const { digests } = known.value
      // What is missing is told, and takes its time, as what is wrong; what is empty is equal to nothing.
      const value = given(name) ?? ''
      if (!digests.has(digestOf(value)) || value.trim() === '')
        throw new AuthError(`the header ${name} has no token that is let in`, challengeOf(scheme))
      return nobody
    },
  }
  return {
    offers: [offered(serverAuthenticatorKey, () => server), offered(clientAuthenticatorKey, () => client)],
    start() {
      if (file !== undefined && written.length > 0)
        context.log.warn({ filename }, '`filename` is set: tokens beside it are not used')
      file?.start()
    },
    stop: () => file?.stop(),
  }
}

const challengeOf = (scheme: string) => (isHeaderName(scheme) ? scheme : undefined)

function linesOf(text: string): string[] {
  const lines = text.split('\n').map(line => line.trim())
  const tokens = lines.filter(line => line !== '')
  if (tokens.length === 0) throw new Error('it has no token')
  if (!tokens.every(isHeaderValue)) throw new Error('a token has a character that headers cannot carry')
  return tokens
}
