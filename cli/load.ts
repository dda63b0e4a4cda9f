/** Reading the configuration for a command. */
import { components } from '../components.ts'
import { ConfigErrors, renderErrors } from '../config/load.ts'
import type { ReadFile } from '../config/sources.ts'
import { loadPlan, type Planned } from '../plan/load.ts'
import { builtIn } from './built-in.ts'
import type { SourceOptions } from './options.ts'

/** Reads and checks it. When anything is wrong, all of it is told on standard error, and the result is undefined. */
export function load({ config, set, featureGates }: SourceOptions, readFile?: ReadFile): Planned | undefined {
  try {
    const { env } = process
    return loadPlan({ sources: config, sets: set, components, env, builtIn, gates: featureGates, readFile })
  } catch (error) {
    if (!(error instanceof ConfigErrors)) throw error
    const { errors, total } = error
    const count = total === 1 ? '1 error' : `${total} errors`
    process.stderr.write(`${renderErrors(errors)}\n${count} in the configuration; nothing was started\n`)
    return undefined
  }
}
