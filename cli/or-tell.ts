/** What can go wrong for the user's own reasons. */
import { exitCodes } from '../service/process.ts'
import { AskError } from './admin-client.ts'

/** Does `work`, or tells in a line why it cannot be done; resolves to the exit code. */
export async function orTell(work: () => Promise<number>): Promise<number> {
  try {
    return await work()
  } catch (error) {
    process.stderr.write(`${await reasonOf(error)}\n`)
    return exitCodes.failed
  }
}

/** @throws what is no reason of the user's */
async function reasonOf(error: unknown): Promise<string> {
  if (error instanceof AskError) return error.message
  // Commands that can throw it have loaded it; the others need not.
  const { QueryError } = await import('../service/query.ts')
  if (!(error instanceof QueryError)) throw error
  return error.hint === undefined ? error.message : `${error.message}; ${error.hint}`
}
