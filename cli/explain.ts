/** `kymo explain`: what a configuration will do, as text or JSON. */
import { disclosedOf } from '../config/disclosed.ts'
import { concealedOf } from '../config/shown.ts'
import { explain as explained } from '../pipelines/explain.ts'
import { exitCodes } from '../service/process.ts'
import type { SourceOptions } from './commands.ts'
import { explanationText } from './explanation-text.ts'
import { load } from './load.ts'

/** Prints it on standard output; returns the exit code. */
export function explain(options: SourceOptions & { readonly json?: boolean | undefined }): number {
  const loaded = load(options)
  if (loaded === undefined) return exitCodes.failed
  const concealed = concealedOf(loaded.root)
  const explanation = concealed.tellAll(explained(disclosedOf(loaded))) as ReturnType<typeof explained>
  process.stdout.write(
    options.json === true ? `${JSON.stringify(explanation, null, 2)}\n` : explanationText(explanation),
  )
  return exitCodes.clean
}
