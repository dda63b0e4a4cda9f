import * as z from 'zod'
import { type ClientAuthenticator, clientAuthenticatorKey, serverAuthenticatorKey } from '../../core/auth.ts'
import { offered } from '../../core/capability.ts'
import { type ComponentContext, defineExtension, type Extension } from '../../core/component.ts'
import { credential, secret } from '../../core/fields.ts'
import { faultOfFile, onlyValue, type ParseFile, WatchedFile } from '../watched-file.ts'
import { Gatekeeper } from './gatekeeper.ts'
import { type Htpasswd, joined, parseHtpasswd, whyNobody } from './htpasswd.ts'

/** A file whose content is looked at when the configuration is checked, if it is there by then. */
const file = (parse: ParseFile<unknown>, what: string) =>
  z
    .string()
    .default('')
    .superRefine((path, context) => {
      const fault = path === '' ? undefined : faultOfFile(path, parse)
      if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
    })
    .describe(what)

const clientAuth = z
  .strictObject({
    username: z.string().default('').describe('Name to send.'),
    username_file: file(nameOf, 'File with the name, read again when it changes; goes before it.'),
    password: credential().optional().describe('Password to send.'),
    password_file: file(onlyValue, 'File with the password, read again when it changes; goes before it.'),
  })
  .superRefine((c, context) => {
    const wrong = (key: string, message: string) => context.addIssue({ code: 'custom', message, path: [key] })
    if (c.username.includes(':')) wrong('username', '`username` must not have a `:`')
    if (c.username.trim() === '' && c.username_file === '')
      wrong('username', `there is no name to send; ${orFile('username')}`)
    if (c.password === undefined && c.password_file === '')
      wrong('password', `there is no password to send; ${orFile('password')}`)
  })

const htpasswd = z
  .strictObject({
    file: file(
      usersOf,
      'Password file of `htpasswd`, read again when it changes; while it is empty or gone nobody is let in.',
    ),
    inline: secret()
      .optional()
      .superRefine((inline, context) => {
        if (inline === undefined) return
        const read = parseHtpasswd(inline.reveal())
        const messages = read.users.size === 0 && read.faults.length === 0 ? [whyNobody(read)] : read.faults
        for (const message of messages) context.addIssue({ code: 'custom', message })
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
  runs: 'each',
  summary: 'Sends a name and a password, or lets in who has them.',
  signals: [],
  offers: [serverAuthenticatorKey, clientAuthenticatorKey],
  offersAs: ({ client_auth }) => [client_auth === undefined ? serverAuthenticatorKey : clientAuthenticatorKey],
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
  create: ({ client_auth, htpasswd }, context): Extension =>
    client_auth === undefined ? serverOf(htpasswd, context) : clientOf(client_auth, context),
})

function orFile(key: string): string {
  return `set \`${key}\` or \`${key}_file\``
}

function nameOf(text: string): string {
  const name = onlyValue(text)
  if (name.includes(':')) throw new Error('a name must not have a `:`')
  return name
}

/** The users of a file, of which there has to be one. */
function usersOf(text: string, before?: Htpasswd): Htpasswd {
  const read = parseHtpasswd(text, before)
  const fault = whyNobody(read)
  if (fault !== undefined) throw new Error(fault)
  return read
}

/** Lines of a password file that are told one by one. */
const toldLines = 10

function serverOf(config: Config['htpasswd'], { log, status, clock }: ComponentContext): Extension {
  const inline = parseHtpasswd(config?.inline?.reveal() ?? '')
  const path = config?.file ?? ''
  const tell = ({ faults, weak }: Htpasswd, where: object) => {
    for (const fault of faults.slice(0, toldLines))
      log.warn({ ...where, fault }, 'a line of the password file cannot be used')
    if (weak.length > 0)
      log.warn({ ...where, lines: weak.slice(0, toldLines), of: weak.length }, 'passwords are not hashed well')
  }
  if (path === '') {
    const gate = new Gatekeeper(() => inline, clock)
    const offers = [offered(serverAuthenticatorKey, () => gate)]
    return { offers, start: () => tell(inline, { key: 'htpasswd.inline' }), stop: () => gate.stop() }
  }
  // Whose line stays as it is stays known.
  let before: Htpasswd | undefined
  const file = new WatchedFile<Htpasswd>(
    'htpasswd.file',
    path,
    text => {
      before = usersOf(text, before)
      tell(before, { file: path })
      return joined(inline, before)
    },
    { log, status, clock },
  )
  const gate = new Gatekeeper(() => file.value, clock)
  return {
    offers: [offered(serverAuthenticatorKey, () => gate)],
    start() {
      tell(inline, { key: 'htpasswd.inline' })
      file.start()
    },
    stop() {
      file.stop()
      gate.stop()
    },
  }
}

function clientOf(config: NonNullable<Config['client_auth']>, context: ComponentContext): Extension {
  const read = (key: string, path: string, parse: ParseFile<string>) =>
    path === '' ? undefined : new WatchedFile(`client_auth.${key}`, path, parse, context)
  const username = read('username_file', config.username_file, nameOf)
  const password = read('password_file', config.password_file, onlyValue)
  const client: ClientAuthenticator = {
    headers: () => {
      const pair = `${username?.value ?? config.username}:${password?.value ?? config.password?.reveal() ?? ''}`
      return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
    },
  }
  const files = [username, password]
  return {
    offers: [offered(clientAuthenticatorKey, () => client)],
    start: () => files.forEach(file => file?.start()),
    stop: () => files.forEach(file => file?.stop()),
  }
}
