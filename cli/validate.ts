/** `kymo validate`: is the configuration right? */
import { renderErrors } from '../config/load.ts'
import { exitCodes } from '../service/process.ts'
import type { SourceOptions } from './options.ts'
import { load } from './load.ts'

/** Says nothing when it is; returns the exit code. */
export async function validate(options: SourceOptions): Promise<number> {
  const loaded = await load(options)
  if (loaded === undefined) return exitCodes.failed
  if (loaded.warnings.length > 0) process.stderr.write(`warnings:\n${renderErrors(loaded.warnings)}`)
  for (const note of loaded.notes) process.stderr.write(`${note}\n`)
  return exitCodes.clean
}
