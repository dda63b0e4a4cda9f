import * as z from 'zod'
import type { ClientAuthenticator } from '../../core/auth.ts'
import { type ComponentContext, defineExtension, type Extension } from '../../core/component.ts'
import { secret } from '../../core/fields.ts'
import { WatchedFile } from '../watched-file.ts'
import { Gatekeeper } from './gatekeeper.ts'
import { type Htpasswd, parseHtpasswd } from './htpasswd.ts'

const clientAuth = z
  .strictObject({
    username: z.string().default('').describe('Name to send.'),
    username_file: z.string().default('').describe('File with the name, read again when it changes; goes before it.'),
    password: secret().optional().describe('Password to send.'),
    password_file: z
      .string()
      .default('')
      .describe('File with the password, read again when it changes; goes before it.'),
  })
  .refine(c => !c.username.includes(':'), { error: '`username` must not have a `:`', path: ['username'] })

const htpasswd = z
  .strictObject({
    file: z.string().default('').describe('Password file of `htpasswd`, read again when it changes.'),
    inline: secret()
      .optional()
      .superRefine((inline, context) => {
        const { faults } = parseHtpasswd(inline?.reveal() ?? '')
        for (const message of faults) context.addIssue({ code: 'custom', message })
      })
      .describe('Lines of a password file (bcrypt, apr1, SHA-1, plain); they go before those of `file`.'),
  })
  .refine(h => h.file !== '' || h.inline !== undefined, {
    error: 'set `file` or `inline`: without them nobody could come in',
    path: ['file'],
  })

const config = z
  .strictObject({
    client_auth: clientAuth
      .nullish()
      .transform(given => given ?? undefined)
      .describe('For exporters: the name and password to send.'),
    htpasswd: htpasswd
      .nullish()
      .transform(given => given ?? undefined)
      .describe('For receivers: the names and passwords to let in.'),
  })
  .refine(c => (c.client_auth === undefined) !== (c.htpasswd === undefined), {
    error: 'set one of `client_auth` (to send credentials) and `htpasswd` (to check them)',
  })
type Config = z.output<typeof config>

/** HTTP's Basic authentication. */
export const basicauth = defineExtension<Config>({
  type: 'basicauth',
  stability: 'beta',
  summary: 'Sends a name and a password, or lets in who has them.',
  signals: [],
  config,
  examples: [
    {
      title: 'For exporters: credentials of a backend',
      config: { client_auth: { username: 'shop', password: '${env:BACKEND_PASSWORD}' } },
    },
    { title: 'For receivers: a password file', config: { htpasswd: { file: '/etc/kymo/htpasswd' } } },
    {
      title: 'For receivers: a user in the configuration',
      config: { htpasswd: { inline: 'shop:$apr1$mBWMTFb9$Wc5PIS0cuYzbGTkmJnKol1' } },
    },
  ],
  create: ({ client_auth, htpasswd }, context) =>
    client_auth === undefined ? serverOf(htpasswd, context) : clientOf(client_auth, context),
})

function serverOf(config: Config['htpasswd'], context: ComponentContext): Extension {
  const inline = parseHtpasswd(config?.inline?.reveal() ?? '')
  const path = config?.file ?? ''
  if (path === '') return { server: new Gatekeeper(() => inline) }
  const file = new WatchedFile<Htpasswd>(
    'htpasswd.file',
    path,
    text => {
      const { users, faults } = parseHtpasswd(text)
      for (const fault of faults) context.log.warn({ file: path, fault }, 'a line of the password file cannot be used')
      if (users.size === 0 && faults.length > 0) throw new Error(faults.join('; '))
      return { users: new Map([...users, ...inline.users]), faults }
    },
    context,
  )
  return { server: new Gatekeeper(() => file.value), start: () => file.start(), stop: () => file.stop() }
}

function clientOf(config: NonNullable<Config['client_auth']>, context: ComponentContext): Extension {
  const read = (key: string, path: string) =>
    path === '' ? undefined : new WatchedFile(`client_auth.${key}`, path, text => text.trim(), context)
  const username = read('username_file', config.username_file)
  const password = read('password_file', config.password_file)
  const client: ClientAuthenticator = {
    headers: () => {
      const pair = `${username?.value ?? config.username}:${password?.value ?? config.password?.reveal() ?? ''}`
      return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
    },
  }
  const files = [username, password]
  return {
    client,
    start: () => files.forEach(file => file?.start()),
    stop: () => files.forEach(file => file?.stop()),
  }
}
