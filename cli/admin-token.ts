/** The token that lets commands in, where the admin server asks for one. */
import { readAdminToken, tokenFileVariable, tokenVariable } from '../service/admin-token.ts'

/** What is sent, and where it was found. */
export interface Token {
  /** Value of the header `authorization`. */
  readonly authorization: string
  /** The variable that gave it. */
  readonly variable: string
}

/** The token of the environment; undefined without one. @throws Error that says what is wrong and never the token */
export function tokenOf(env: NodeJS.ProcessEnv): Token | undefined {
  const given = readAdminToken(env)
  return given && { authorization: `Bearer ${given.token}`, variable: given.variable }
}

/** What to do when `origin` answers 401. */
export function unknownToken(origin: string, token: Token | undefined): string {
  if (token === undefined) {
    return (
      `the Kymo at ${origin} asks for a token, and this command has none: ` +
      `set ${tokenVariable} to the one it was started with, or ${tokenFileVariable} to a file that has it`
    )
  }
  const at = token.variable === tokenFileVariable ? 'in the file of' : 'in'
  return (
    `the Kymo at ${origin} was started with another token than the one ${at} ${token.variable}: ` +
    'give this command the same, without quotes around it'
  )
}

/** What to know besides when `origin` answers 403. */
export function uselessToken(origin: string, token: Token | undefined): string {
  if (token === undefined) return ''
  return `\n(The token of ${token.variable} was sent. The Kymo at ${origin} was started without one, so that it has none to compare it with.)`
}
