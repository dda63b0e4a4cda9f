/** `kymo explain`: what a configuration will do, as text or JSON. */
import type { Loaded } from '../config/load.ts'
import { disclosedOf } from '../config/disclosed.ts'
import { concealedOf } from '../config/shown.ts'
import { explain as explained, type Explanation } from '../plan/explain.ts'
import { planOf } from '../plan/plan.ts'
import { exitCodes } from '../service/process.ts'
import type { SourceOptions } from './options.ts'
import { explanationText } from './explanation-text.ts'
import { load } from './load.ts'

/** Prints it on standard output; returns the exit code. */
export async function explain(options: SourceOptions & { readonly json?: boolean | undefined }): Promise<number> {
  const loaded = await load(options)
  if (loaded === undefined) return exitCodes.failed
  const explanation = explanationOf(loaded)
  process.stdout.write(
    options.json === true ? `${JSON.stringify(explanation, null, 2)}\n` : explanationText(explanation),
  )
  return exitCodes.clean
}

/** The explanation of a configuration, which quotes none of its values that are not to be shown. */
export function explanationOf(loaded: Pick<Loaded, 'configured' | 'root'>): Explanation {
  // Its values are what was put in; what leaves this function has the same form.
  return concealedOf(loaded.root).tellAll(explained(planOf(disclosedOf(loaded)))) as Explanation
}
