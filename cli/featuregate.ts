/** `kymo featuregate`: the Collector's feature gates and what they mean here. */
import { findGate, type FeatureGate, gates } from '../config/gates.ts'
import { exitCodes } from '../service/process.ts'
import { table } from './table.ts'

/** Prints one gate, or all of them; returns the exit code. */
export function featuregate(id: string | undefined, { json }: { readonly json?: boolean | undefined }): number {
  const found = id === undefined ? gates : findGate(id)
  if (typeof found === 'string') {
    process.stderr.write(`there is no feature gate \`${id}\`; ${found}\n`)
    return exitCodes.failed
  }
  const shown = 'id' in found ? [found] : found
  process.stdout.write(json === true ? `${JSON.stringify(shown.map(facts), null, 2)}\n` : textOf(shown))
  return exitCodes.clean
}

const isOn = ({ stage }: FeatureGate) => stage === 'beta' || stage === 'stable'

const facts = ({ id, stage, meaning, effective = false }: FeatureGate) => ({ id, stage, meaning, effective })

function textOf(shown: readonly FeatureGate[]): string {
  const rows = shown.map(gate => [gate.id, String(isOn(gate)), gate.stage, gate.meaning])
  return table(['ID', 'ENABLED', 'STAGE', 'MEANING HERE'], rows)
}
