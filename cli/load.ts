/** Reading the configuration for a command. */
import { components } from '../components.ts'
import { ConfigErrors, renderErrors } from '../config/load.ts'
import type { ReadFile } from '../config/sources.ts'
import { loadListedPlan, type Planned } from '../plan/load.ts'
import { builtIn } from './built-in.ts'
import type { SourceOptions } from './options.ts'

/** Reads and checks it. When anything is wrong, all of it is told on standard error, and the result is undefined. */
export async function load(
  { config, set, featureGates }: SourceOptions,
  readFile?: ReadFile,
): Promise<Planned | undefined> {
  try {
    const { env } = process
    const rest = { components, env, builtIn, gates: featureGates, readFile }
    return await loadListedPlan({ sources: config, sets: set, ...rest })
  } catch (error) {
    if (!(error instanceof ConfigErrors)) throw error
    const { errors, total } = error
    const count = total === 1 ? '1 error' : `${total} errors`
    process.stderr.write(`${renderErrors(errors)}\n${count} in the configuration; nothing was started\n`)
    return undefined
  }
}
