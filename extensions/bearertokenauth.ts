import { hash, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { AuthError, type Identity } from '../core/auth.ts'
import { type ComponentContext, defineExtension, type Extension } from '../core/component.ts'
import { secret } from '../core/fields.ts'
import { isHeaderName, isHeaderValue } from '../net/client-keys.ts'
import { WatchedFile } from './watched-file.ts'

const token = () =>
  secret().refine(value => isHeaderValue(value.reveal()), { error: 'has a character that headers cannot carry' })

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
      .describe('File with a token on each line, read again when it changes; goes before the others.'),
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
  summary: 'Sends a token, or lets in who has it.',
  signals: [],
  config,
  examples: [
    { title: 'One token, to send or to ask for', config: { token: '${env:TOKEN}' } },
    {
      title: 'A token that is renewed, such as that of a service account',
      config: { filename: '/var/run/secrets/token' },
    },
    {
      title: 'A key in a header of its own',
      config: { header: 'X-API-Key', scheme: '', tokens: ['${env:KEY}', '${env:OLD_KEY}'] },
    },
  ],
  create: (config, context) => extensionOf(config, context),
})

/** Header values and what they are compared by. */
interface Values {
  readonly sent: string
  readonly digests: readonly Buffer[]
}

/** Nothing is known of who has a token but that. */
const nobody: Identity = new Map()

function extensionOf({ scheme, header, token, tokens, filename }: Config, context: ComponentContext): Extension {
  const name = header.toLowerCase()
  const valuesOf = (given: readonly string[]): Values => {
    const values = given.map(one => (scheme === '' ? one : `${scheme} ${one}`))
    return { sent: values[0], digests: values.map(digestOf) }
  }
  const written = [...(token === undefined ? [] : [token]), ...tokens]
  const fixed = valuesOf(written.map(one => one.reveal()))
  const file =
    filename === '' ? undefined : new WatchedFile('filename', filename, text => valuesOf(linesOf(text)), context)
  const values = () => file?.value ?? fixed
  return {
    start() {
      if (file !== undefined && written.length > 0)
        context.log.warn({ filename }, '`filename` is set: tokens beside it are not used')
      file?.start()
    },
    stop: () => file?.stop(),
    client: { headers: () => ({ [name]: values().sent }) },
    server: {
      authenticate: given => {
        const { digests } = values()
        const value = given(name)
        if (value === undefined) throw new AuthError(`the header ${name} is missing`, challengeOf(scheme))
        const digest = digestOf(value)
        // All of them, so that the time does not tell which is nearest.
        const isRight = digests.map(one => timingSafeEqual(one, digest)).includes(true)
        if (!isRight) throw new AuthError('the token is wrong', challengeOf(scheme))
        return nobody
      },
    },
  }
}

const digestOf = (text: string): Buffer => hash('sha256', text, 'buffer')

const challengeOf = (scheme: string) => (isHeaderName(scheme) ? scheme : undefined)

function linesOf(text: string): string[] {
  const lines = text.split('\n').map(line => line.trim())
  const tokens = lines.filter(line => line !== '')
  if (tokens.length === 0) throw new Error('it has no token')
  if (!tokens.every(isHeaderValue)) throw new Error('a token has a character that headers cannot carry')
  return tokens
}
