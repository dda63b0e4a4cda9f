/** `auth` of servers and clients: its keys, and what a server does with an authenticator. */
import type { IncomingHttpHeaders } from 'node:http'
import * as z from 'zod'
import {
  AuthError,
  type HeaderOf,
  type Headers,
  type Identity,
  type PendingIdentity,
  clientAuthenticatorKey,
  type ServerAuthenticator,
  serverAuthenticatorKey,
} from '../core/auth.ts'
import type { Capability } from '../core/capability.ts'
import { messageOf } from '../core/errors.ts'
import { texts } from '../core/fields.ts'
import type { Logger } from '../core/logger.ts'

const authenticator = (reference: Capability) =>
  z
    .string({ error: '`authenticator` is missing; write the id of an extension, such as `authenticator: basicauth`' })
    .min(1, { error: '`authenticator` is empty; write the id of an extension' })
    .meta({ reference })
    .describe('Id of the extension that authenticates.')

const section = <T extends z.core.$ZodShape>(reference: Capability, more: T, what: string) =>
  z
    .strictObject({ authenticator: authenticator(reference), ...more })
    .nullish()
    .transform(auth => auth ?? undefined)
    .describe(what)

/** `auth` of a client. */
export const clientAuth = () => section(clientAuthenticatorKey, {}, 'Which extension adds credentials to requests.')

/** `auth` of a gRPC server. */
export const grpcServerAuth = () => section(serverAuthenticatorKey, {}, 'Which extension lets requests in.')

/** `auth` of an HTTP server. */
export const httpServerAuth = () =>
  section(
    serverAuthenticatorKey,
    { request_params: texts().default([]).describe('Parameters of the URL that stand for headers of the same name.') },
    'Which extension lets requests in.',
  )

/** A request that is not let in: for good, or because it cannot be told now. */
export interface AuthRefusal {
  readonly kind: 'denied' | 'unready'
  readonly message: string
  readonly challenge: string | undefined
}

/** An answer that takes a while. */
export interface PendingAnswer {
  /** Calls `told` once, never before this returns, and not after `cancel`. */
  whenTold(told: (answer: Identity | AuthRefusal) => void): void
  /** The request has ended. */
  cancel(): void
}

/** What asking whether a sender may come in gives. */
export type AuthAnswer = Identity | AuthRefusal | PendingAnswer

/** Whether the answer of an authenticator is a refusal. */
export function isRefusal(answer: AuthAnswer): answer is AuthRefusal {
  return 'kind' in answer
}

/** Whether the answer is still to come. */
export function isPending(answer: AuthAnswer): answer is PendingAnswer {
  return 'whenTold' in answer
}

/** The headers of a request to an authenticator. */
export function headerOf(headers: IncomingHttpHeaders): HeaderOf {
  return name => {
    const value = headers[name]
    return Array.isArray(value) ? value[0] : value
  }
}

/** `header`, where `parameters` of the URL, of which `query` is the end, stand for headers of the same name. */
export function withParameters(header: HeaderOf, parameters: readonly string[], query: string): HeaderOf {
  if (parameters.length === 0) return header
  const given = new URLSearchParams(query)
  return name => {
    const stands = parameters.find(parameter => parameter.toLowerCase() === name)
    return (stands === undefined ? undefined : given.get(stands)) ?? header(name)
  }
}

/** Least time between two lines of the log on senders that were turned away, in milliseconds. */
const betweenLines = 10_000

/** Asks an authenticator for one server, and says now and then in the log who was turned away. */
export class Doorman {
  readonly #authenticator: ServerAuthenticator
  readonly #log: Logger | undefined
  #lastLine = -Infinity
  /** Turned away since the last line. */
  #untold = 0

  constructor(authenticator: ServerAuthenticator, log?: Logger) {
    this.#authenticator = authenticator
    this.#log = log
  }

  /** Asks whether the sender at `peer` may come in. */
  ask(header: HeaderOf, peer: string): AuthAnswer {
    let answer: Identity | PendingIdentity
    try {
      answer = this.#authenticator.authenticate(header, peer)
    } catch (error) {
      return this.#refusalOf(error, peer)
    }
    return 'identity' in answer ? this.#pending(answer, peer) : answer
  }

  #pending(pending: PendingIdentity, peer: string): PendingAnswer {
    let ended = false
    return {
      whenTold: told => {
        const once = (answer: () => Identity | AuthRefusal) => {
          if (ended) return
          ended = true
          told(answer())
        }
        pending.identity.then(
          identity => once(() => identity),
          (error: unknown) => once(() => this.#refusalOf(error, peer)),
        )
      },
      cancel() {
        if (ended) return
        ended = true
        pending.cancel()
      },
    }
  }

  #refusalOf(error: unknown, peer: string): AuthRefusal {
    const isDenied = error instanceof AuthError
    this.#tell(messageOf(error), isDenied ? 'denied' : 'unready', peer)
    if (isDenied) return { kind: 'denied', message: error.message, challenge: error.challenge }
    // Whatever it is, it is not for strangers; the extension's status and the log say it.
    return { kind: 'unready', message: 'credentials cannot be checked at the moment', challenge: undefined }
  }

  /** Whoever guesses is not to fill the log, too. */
  #tell(why: string, reason: AuthRefusal['kind'], peer: string): void {
    const now = performance.now()
    if (now - this.#lastLine < betweenLines) {
      this.#untold++
      return
    }
    this.#lastLine = now
    this.#log?.warn({ peer, reason, why, before: this.#untold }, 'a sender was not let in')
    this.#untold = 0
  }
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
