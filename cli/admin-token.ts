/** The token that lets commands in, where the admin server asks for one. */
import { readFileSync } from 'node:fs'
import { messageOf } from '../core/errors.ts'

/** What is sent, and where it was found. */
export interface Token {
  /** Value of the header `authorization`. */
  readonly authorization: string
  /** The variable that gave it. */
  readonly variable: string
}

const variable = 'KYMO_ADMIN_TOKEN'
const fileVariable = 'KYMO_ADMIN_TOKEN_FILE'

/** The token of the environment; undefined without one. @throws Error that says what is wrong and never the token */
export function tokenOf(env: NodeJS.ProcessEnv): Token | undefined {
  const file = env[fileVariable]
  const token = file ? read(file) : (env[variable] ?? '').trim()
  if (token === '') return undefined
  const from = file ? fileVariable : variable
  const authorization = `Bearer ${token}`
  // Checked here, because the error of whoever sends it would show it.
  if (!/^[\x20-\x7e\x80-\xff]+$/.test(authorization)) {
    throw new Error(`the token of ${from} has characters that no header can carry; make it one line of plain text`)
  }
  return { authorization, variable: from }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new Error(`the file of ${fileVariable} cannot be read: ${messageOf(error)}`, { cause: error })
  }
}

/** What to do when `origin` answers 401. */
export function unknownToken(origin: string, token: Token | undefined): string {
  if (token === undefined) {
    return (
      `the Kymo at ${origin} asks for a token, and this command has none: ` +
      `set ${variable} to the one it was started with, or ${fileVariable} to a file that has it`
    )
  }
  const at = token.variable === fileVariable ? 'in the file of' : 'in'
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
