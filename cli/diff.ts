/** `kymo diff`: what differs between two configurations, and what a reload from one to the other would do. */
import { type Difference, differencesOf } from '../config/diff.ts'
import { jsonOf } from '../config/json.ts'
import { planReload, startOnly, unreloadable } from '../plan/reload.ts'
import type { ReloadPlan } from '../core/reload.ts'
import { load } from './load.ts'
import { planText, restartText } from './reload-text.ts'

/** Exit codes, as those of diff(1). */
const codes = { same: 0, different: 1, trouble: 2 } as const

/** Prints the differences on standard output; returns the exit code. */
export async function diff(
  before: string,
  after: string,
  { json }: { readonly json?: boolean | undefined },
): Promise<number> {
  const old = await load({ config: [before], set: [] })
  const now = await load({ config: [after], set: [] })
  if (old === undefined || now === undefined) return codes.trouble
  const differences = differencesOf(old, now)
  const changes = planReload(old.plan, now.plan)
  const refused = unreloadable(changes, now.plan).map(({ message }) => message)
  const reload = { ...changes, refused, restart_needed: startOnly(old.telemetry, now.telemetry) }
  if (json === true) {
    const same = differences.length === 0
    process.stdout.write(`${jsonOf({ same, differences, reload }, 2)}\n`)
  } else if (differences.length > 0) process.stdout.write(`${textOf(differences)}\n${reloadText(reload)}`)
  return differences.length === 0 ? codes.same : codes.different
}

const marks = { added: '+', removed: '-', changed: '~' } as const

function textOf(differences: readonly Difference[]): string {
  return differences
    .map(({ path, change, keys }) => {
      const lines = keys.map(({ key, before, after, secret }) => {
        const what =
          secret && before !== undefined && after !== undefined ? 'changed' : `${shown(before)} -> ${shown(after)}`
        return `    ${key === '' ? '' : `${key}: `}${what}\n`
      })
      return `${marks[change]} ${path}\n${lines.join('')}`
    })
    .join('')
}

function shown(value: unknown): string {
  if (value === undefined) return '(none)'
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`
  return typeof value === 'string' && value !== '' ? value : jsonOf(value)
}

interface ToldPlan extends ReloadPlan {
  /** Why a reload changes nothing at all. */
  readonly refused: readonly string[]
  readonly restart_needed: readonly string[]
}

function reloadText({ components, pipelines, refused, restart_needed: later }: ToldPlan): string {
  if (refused.length > 0) return `A reload would be refused, and change nothing: ${refused.join('; ')}.\n`
  const needs = restartText(later)
  const changes = planText({ components, pipelines })
  return changes === '' ? `A reload would restart nothing.\n${needs}` : `A reload would:\n${changes}${needs}`
}
