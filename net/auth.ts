/** `auth` of servers and clients: its keys, and what a server does with an authenticator. */
import * as z from 'zod'
import { AuthError, type HeaderOf, type Headers, type Identity, type ServerAuthenticator } from '../core/auth.ts'
import { texts } from '../core/fields.ts'

const authenticator = z
  .string({ error: '`authenticator` is missing; write the id of an extension, such as `authenticator: basicauth`' })
  .min(1, { error: '`authenticator` is empty; write the id of an extension' })
  .meta({ reference: 'extension' })
  .describe('Id of the extension that authenticates.')

const section = <T extends z.core.$ZodShape>(more: T, what: string) =>
  z
    .strictObject({ authenticator, ...more })
    .nullish()
    .transform(auth => auth ?? undefined)
    .describe(what)

/** `auth` of a client. */
export const clientAuth = () => section({}, 'Which extension adds credentials to requests.')

/** `auth` of a gRPC server. */
export const grpcServerAuth = () => section({}, 'Which extension lets requests in.')

/** `auth` of an HTTP server. */
export const httpServerAuth = () =>
  section(
    { request_params: texts().default([]).describe('Parameters of the URL that stand for headers of the same name.') },
    'Which extension lets requests in.',
  )

/** A request that is not let in: for good, or because it cannot be told now. */
export interface AuthRefusal {
  readonly kind: 'denied' | 'unready'
  readonly message: string
  readonly challenge: string | undefined
}

/** Asks an authenticator. */
export function askAuthenticator(auth: ServerAuthenticator, header: HeaderOf): Identity | AuthRefusal {
  try {
    return auth.authenticate(header)
  } catch (error) {
    if (error instanceof AuthError) return { kind: 'denied', message: error.message, challenge: error.challenge }
    // Whatever it is, it is not for strangers; the extension's status says it.
    return { kind: 'unready', message: 'credentials cannot be checked at the moment', challenge: undefined }
  }
}

/** Whether the answer of an authenticator is a refusal. */
export function isRefusal(answer: Identity | AuthRefusal): answer is AuthRefusal {
  return 'kind' in answer
}

/** Headers by lower-case name; undefined takes one away. */
export type HeaderChanges = Readonly<Record<string, string | undefined>>

/** `headers` with `changes` made. */
export function changedHeaders(headers: Headers, changes: HeaderChanges): Record<string, string> {
  const made: Record<string, string> = { ...headers }
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) delete made[name]
    else made[name] = value
  }
  return made
}
