/** What authentication extensions offer to servers and clients. */
import type { Context } from './context.ts'
import { Capability } from './capability.ts'

/** One header of a request; undefined when it has none. Names are lower case. */
export type HeaderOf = (name: string) => string | undefined

/** What is known of a sender that was let in, by name: `subject`, `username`, ... Values that are secret are left out. */
export type Identity = ReadonlyMap<string, string>

/** The sender may not come in. The message is for the sender and says nothing secret. */
export class AuthError extends Error {
  override name = 'AuthError'
  /** What would be let in, as WWW-Authenticate has it: `Basic realm="kymo"`. */
  readonly challenge: string | undefined

  constructor(message: string, challenge?: string) {
    super(message)
    this.challenge = challenge
  }
}

/** Who sends, where that takes a while to tell. */
export interface PendingIdentity {
  /** What it comes to: rejects as `authenticate` throws. May stay open once it is cancelled. */
  readonly identity: Promise<Identity>
  /** Nobody waits any more: whatever is still to be done for it is left. */
  cancel(): void
}

/** Lets requests in, before their body is read. */
export interface ServerAuthenticator {
  /**
   * Says who sends: at once, without a promise, where it can.
   * @param peer the address that sends, with its port; empty where there is none
   * @throws AuthError when the request may not come in; anything else means that it cannot be told now: come again
   */
  authenticate(header: HeaderOf, peer: string): Identity | PendingIdentity
}

/** The key of those who let requests in. */
export const serverAuthenticatorKey = new Capability<ServerAuthenticator>('server authenticator')

/** Headers by lower-case name. */
export type Headers = Readonly<Record<string, string>>

/** Adds headers to requests that are sent. */
export interface ClientAuthenticator {
  /**
   * What to change in the headers of a request with data that came with `context`: each name lower case, undefined takes
   * the header away. `sent` are those the configuration sets. Called once per attempt.
   * @throws when there is nothing to send with yet; the attempt is made again
   */
  headers(context: Context, sent: Headers): Readonly<Record<string, string | undefined>>
}

/** The key of those who add to requests. */
export const clientAuthenticatorKey = new Capability<ClientAuthenticator>('client authenticator')

/** Headers whose value is a credential whatever the backend. */
const credentialName =
  /^(?:proxy-)?authorization$|^cookie$|(?:^|[-_])(?:api-?key|key|token|secret|password|pass|auth|team|dsn)$/i
/** A scheme without what follows it. */
const bareScheme = /^(?:bearer|basic|token|api-?key|digest|negotiate|splunk|datadog)$/i

/** Whether a header that carries credentials has none in it: nothing, blanks, or the word in front of them alone. */
export function isEmptyCredential(name: string, value: string): boolean {
  if (!credentialName.test(name)) return false
  const text = value.trim()
  return text === '' || (/authorization$/i.test(name) && bareScheme.test(text))
}
