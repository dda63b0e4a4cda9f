/** What can go wrong for the user's own reasons. */
import { exitCodes } from '../service/process.ts'
import { QueryError } from '../service/query.ts'
import { AskError } from './admin-client.ts'
import { DirectoryError } from './queue-directory.ts'

/** Does `work`, or tells in a line why it cannot be done; resolves to the exit code. */
export async function orTell(work: () => Promise<number>): Promise<number> {
  try {
    return await work()
  } catch (error) {
    const isExpected = error instanceof AskError || error instanceof DirectoryError || error instanceof QueryError
    if (!isExpected) throw error
    const hint = error instanceof QueryError && error.hint !== undefined ? `; ${error.hint}` : ''
    process.stderr.write(`${error.message}${hint}\n`)
    return exitCodes.failed
  }
}
