/** What authentication extensions offer to servers and clients. */
import type { Context } from './batch.ts'

/** One header of a request; undefined when it has none. Names are lower case. */
export type HeaderOf = (name: string) => string | undefined

/** What is known of a sender that was let in, by name: `subject`, `username`, ... Values that are secret are left out. */
export type Identity = ReadonlyMap<string, string>

/** The sender may not come in. The message is for the sender and says nothing secret. */
export class AuthError extends Error {
  override name = 'AuthError'
}

/** Lets requests in, before their body is read. */
export interface ServerAuthenticator {
  /** @throws AuthError when the request may not come in */
  authenticate(header: HeaderOf): Identity
}

/** Adds headers to requests that are sent. */
export interface ClientAuthenticator {
  /** Headers to send with data that came with `context`; names lower case. Called once per request. */
  headers(context: Context): Readonly<Record<string, string>>
}
