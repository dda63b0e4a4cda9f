/** The token of the admin server: where it stands, and how it is read. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { messageOf } from '../core/errors.ts'
import { noWait } from '../core/ownership.ts'

/** The variable that has it. */
export const tokenVariable = 'KYMO_ADMIN_TOKEN'
/** The variable that names a file with it, and wins. */
export const tokenFileVariable = 'KYMO_ADMIN_TOKEN_FILE'

/** A token, and the variable that gave it. */
export interface GivenToken {
  readonly token: string
  readonly variable: string
}

/** A file that is larger is another one. */
const largestFile = 64 * 1024

/**
 * The token of the environment; undefined when neither variable is set. One that is set and empty is no wish for no token
 * but a mistake: a secret that did not arrive.
 * @throws Error that says what is wrong and never the token
 */
export function readAdminToken(env: NodeJS.ProcessEnv): GivenToken | undefined {
  const { [tokenVariable]: given, [tokenFileVariable]: file } = env
  if (file === undefined && given === undefined) return undefined
  const variable = file === undefined ? tokenVariable : tokenFileVariable
  if (file === '') throw new Error(`${variable} is set and empty: name a file with a token in it, or unset it`)
  const token = (file === undefined ? (given ?? '') : textOf(file)).trim()
  if (token === '') {
    const what = file === undefined ? `${variable} is set and empty` : `the file of ${variable} is empty`
    throw new Error(`${what}: put a token there, such as the output of \`openssl rand -hex 32\`, or unset it`)
  }
  // Checked here, because the error of whoever sends it would show it.
  if (!/^[\x20-\x7e\x80-\xff]+$/.test(token)) {
    throw new Error(`the token of ${variable} has characters that no header can carry; make it one line of plain text`)
  }
  return { token, variable }
}

/** What is in a file; one that would make us wait, or read for ever, is refused. */
function textOf(file: string): string {
  try {
    const handle = openSync(file, constants.O_RDONLY | noWait)
    try {
      const found = fstatSync(handle)
      if (!found.isFile()) throw new Error(`${file} is no file`)
      if (found.size > largestFile) throw new Error(`${file} is larger than any token`)
      return readFileSync(handle, 'utf8')
    } finally {
      closeSync(handle)
    }
  } catch (error) {
    throw new Error(`the file of ${tokenFileVariable} cannot be read: ${messageOf(error)}`, { cause: error })
  }
}
