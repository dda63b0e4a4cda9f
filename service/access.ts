/** Who may ask and change a running process through its admin server. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { messageOf } from '../core/errors.ts'
import { isLoopback, type Reach } from '../net/local-host.ts'
import { type GivenToken, readAdminToken, tokenFileVariable, tokenVariable } from './admin-token.ts'

/** What is asked with. */
export interface AdminAsker {
  readonly headers: IncomingHttpHeaders
  /** Address of who asks; undefined over a unix socket. */
  readonly peer: string | undefined
  /** Who can connect to the server that is asked. */
  readonly reach: Reach
}

/** Why nothing is told or changed. */
export interface Denial {
  readonly code: 401 | 403 | 503
  readonly message: string
  readonly hint: string
}

/** How much is at stake. */
export type Stake =
  /** It tells how much there is of what. */
  | 'metrics'
  /** It tells what runs and what happened. */
  | 'reading'
  /** It does what the operator has set up. */
  | 'action'
  /** It says where data goes from now on. */
  | 'configuration'

/** What can be read without the token. */
export const readings = ['open', 'token-except-metrics', 'token'] as const

/** `open`: everything; `token-except-metrics`: health and metrics; `token`: health. */
export type Reading = (typeof readings)[number]

/** Says why somebody may not; undefined when they may. */
export type Access = (asker: AdminAsker, stake: Stake) => Denial | undefined

/**
 * Asks for the token that the environment gives, or the file that it names; that is read each time, so that a token can be
 * exchanged. Without a token only this machine may act, on a server that nobody else can connect to, and nobody may
 * configure: whoever has an account here is not thereby allowed to read what the process reads, or to send its data elsewhere.
 * @throws Error when the token is set and there is none, or when reading needs one and none is set
 */
export function tokenAccess(env: NodeJS.ProcessEnv, reading: Reading = 'open'): Access {
  if (readAdminToken(env) === undefined && reading !== 'open') {
    const what = `reading with \`${reading}\` needs a token, and there is none`
    throw new Error(`${what}: set ${tokenVariable}, or ${tokenFileVariable} to a file that has it`)
  }
  return (asker, stake) => {
    if (stake === 'metrics' && reading !== 'token') return undefined
    if (stake === 'reading' && reading === 'open') return undefined
    let given: GivenToken | undefined
    try {
      given = readAdminToken(env)
    } catch (error) {
      return {
        code: 503,
        message: messageOf(error),
        hint: `nobody is let in until the Kymo that is asked has it again`,
      }
    }
    return given === undefined ? withoutToken(asker, stake) : withToken(asker, given)
  }
}

function withToken({ headers }: AdminAsker, { token }: GivenToken): Denial | undefined {
  const sent = /^Bearer +(.+)$/i.exec(headers.authorization ?? '')?.[1] ?? ''
  if (timingSafeEqual(digest(sent), digest(token))) return undefined
  const hint = `send \`Authorization: Bearer TOKEN\`; commands of \`kymo\` take it from ${tokenVariable}`
  return { code: 401, message: 'the token is missing or wrong', hint }
}

function withoutToken({ headers, peer, reach }: AdminAsker, stake: Stake): Denial | undefined {
  if (stake === 'configuration') {
    const hint = `start Kymo with a token in ${tokenVariable}, or in a file that ${tokenFileVariable} names`
    return { code: 403, message: 'a configuration is only taken with a token, and this process has none', hint }
  }
  const token = `start Kymo with a token in ${tokenVariable} and give the command the same`
  const isOpen = reach === 'network' || (peer !== undefined && !isLoopback(peer.replace(/^::ffff:/, '')))
  if (isOpen) {
    const message =
      'the network can connect to this server, so that it changes nothing without a token, and it has none'
    return { code: 403, message, hint: `have it listen on a socket (\`kymo run --admin unix:PATH\`), or ${token}` }
  }
  const between = Object.keys(headers).find(isOfProxy)
  if (between === undefined) return undefined
  const message = `something has passed this on (it says so in \`${between}\`), so that nobody knows who asks`
  return { code: 403, message, hint: `run the command there, in a pod with \`kubectl exec\`, or ${token}` }
}

/** Whether only who passes on what others ask sends such a header. */
const isOfProxy = (name: string): boolean =>
  name === 'forwarded' || name === 'via' || name === 'x-real-ip' || /^x-(?:forwarded|envoy)-/.test(name)

/** Of equal length, whatever is compared. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
