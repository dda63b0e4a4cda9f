/** Who may change a running process through its admin server. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { messageOf } from '../core/errors.ts'
import { isLoopback } from '../net/local-host.ts'

/** What is asked with. */
export interface Asker {
  readonly headers: IncomingHttpHeaders
  /** Address of who asks; undefined over a unix socket. */
  readonly peer: string | undefined
}

/** Why nothing is changed. */
export interface Denial {
  readonly code: 401 | 403 | 503
  readonly message: string
  readonly hint: string
}

/** How much is at stake. */
export type Stake =
  /** It does what the operator has set up. */
  | 'action'
  /** It says where data goes from now on. */
  | 'configuration'

/** Says why somebody may not; undefined when they may. */
export type Access = (asker: Asker, stake: Stake) => Denial | undefined

const variable = 'KYMO_ADMIN_TOKEN'
const fileVariable = 'KYMO_ADMIN_TOKEN_FILE'

/**
 * Asks for the token that the environment gives, or the file that it names; that is read each time, so that a token can
 * be exchanged. Without a token only this machine may act, and nobody may configure: whoever has an account here is not
 * thereby allowed to read what the process reads, or to send its data elsewhere.
 */
export function tokenAccess(env: NodeJS.ProcessEnv): Access {
  return ({ headers, peer }, stake) => {
    let token: string
    try {
      const file = env[fileVariable]
      token = file ? readFileSync(file, 'utf8').trim() : (env[variable] ?? '').trim()
    } catch (error) {
      return { code: 503, message: `the token cannot be read: ${messageOf(error)}`, hint: `see ${fileVariable}` }
    }
    if (token !== '') {
      const given = /^Bearer +(.+)$/i.exec(headers.authorization ?? '')?.[1] ?? ''
      if (timingSafeEqual(digest(given), digest(token))) return undefined
      const hint = `send \`Authorization: Bearer TOKEN\`; commands of \`kymo\` take it from ${variable}`
      return { code: 401, message: 'the token is missing or wrong', hint }
    }
    if (stake === 'configuration') {
      const hint = `start Kymo with a token in ${variable}, or in a file that ${fileVariable} names`
      return { code: 403, message: 'a configuration is only taken with a token, and this process has none', hint }
    }
    if (peer === undefined || isLoopback(peer.replace(/^::ffff:/, ''))) return undefined
    const hint = `run the command there, in a pod with \`kubectl exec\`, or start Kymo with a token in ${variable} and give the command the same`
    return { code: 403, message: 'only the machine that this process runs on may change anything', hint }
  }
}

/** Of equal length, whatever is compared. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
