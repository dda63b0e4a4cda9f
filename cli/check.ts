/** `kymo check --connect`: would the destinations take data? Before a configuration runs, and of one that does. */
import { renderErrors } from '../config/load.ts'
import {
  checkConnections,
  type ConnectionsDocument,
  type StepDocument,
  type StepResult,
} from '../service/connections.ts'
import { stepTime } from '../service/connection-pages.ts'
import { exitCodes } from '../service/process.ts'
import { ask, AskError } from './admin-client.ts'
import { printable, span } from './format.ts'
import { load } from './load.ts'
import type { SourceOptions } from './options.ts'
import { orTell } from './or-tell.ts'

/** What is looked at, and how. */
export interface CheckOptions extends SourceOptions {
  readonly connect?: boolean | undefined
  /** Ask the Kymo that runs. */
  readonly running?: boolean | undefined
  readonly admin: string
  /** Milliseconds that each step may take. */
  readonly timeout?: number | undefined
  readonly json?: boolean | undefined
}

/** How long a Kymo that runs may take for all of it, in milliseconds. */
const patience = 10 * 60_000

/** Looks, prints, and resolves to the exit code: 0 when all that was asked holds. */
export function check(exporters: readonly string[], options: CheckOptions, isRunning: boolean): Promise<number> {
  return orTell(async () => {
    if (options.connect !== true) {
      throw new AskError('say what to look at: --connect (whether a configuration is right, `kymo validate` tells)')
    }
    const answer = isRunning ? await ofRunning(exporters, options) : await ofConfiguration(exporters, options)
    if (answer === undefined) return exitCodes.failed
    process.stdout.write(options.json === true ? `${JSON.stringify(answer, null, 2)}\n` : connectionsText(answer))
    return answer.result === 'failed' ? exitCodes.failed : exitCodes.clean
  })
}

async function ofRunning(exporters: readonly string[], options: CheckOptions): Promise<ConnectionsDocument> {
  const { admin, timeout, config, set } = options
  if (config.length > 0 || set.length > 0) {
    throw new AskError('what runs is asked about what it runs: leave out --config and --set, or --running and --admin')
  }
  const words = {
    ...(timeout !== undefined && { timeout: `${timeout}ms` }),
    ...(exporters.length > 0 && { exporters: exporters.join(',') }),
  }
  // Only a Kymo answers there, and this is what one answers.
  return (await ask(admin, '/v1/check', words, patience)) as ConnectionsDocument
}

async function ofConfiguration(
  exporters: readonly string[],
  options: CheckOptions,
): Promise<ConnectionsDocument | undefined> {
  const timeout = stepTime(options.timeout)
  const loaded = await load(options)
  if (loaded === undefined) return undefined
  if (loaded.warnings.length > 0) process.stderr.write(`warnings:\n${renderErrors(loaded.warnings)}`)
  return await checkConnections(loaded.plan, { exporters, timeout, isRunning: false })
}

const words: Readonly<Record<StepResult, string>> = { ok: 'ok', warning: 'warning', failed: 'FAILED' }

/** For people: a block for each destination, a line for each step, then how many hold. */
export function connectionsText({ exporters }: ConnectionsDocument): string {
  const lines: string[] = []
  for (const { exporter, destinations, note } of exporters) {
    for (const { endpoint, signals, steps } of destinations) {
      const where = endpoint === '' ? '' : `  ${endpoint}`
      lines.push(`${exporter}${where}${signals.length === 0 ? '' : `  (${signals.join(', ')})`}`)
      const width = Math.max(...steps.map(({ step }) => step.length))
      for (const step of steps) lines.push(...stepLines(step, width))
    }
    if (note !== undefined) lines.push(exporter, `  ${note}`)
  }
  const all = exporters.flatMap(({ destinations }) => destinations)
  const failed = all.filter(({ result }) => result === 'failed').length
  const warned = all.filter(({ result }) => result === 'warning').length
  const warnings = warned === 0 ? '' : `, ${warned} with a warning`
  const of = `${all.length} destination${all.length === 1 ? '' : 's'}`
  lines.push(
    failed === 0 ? `${of}: data would be taken${warnings}` : `${failed} of ${of} would take no data${warnings}`,
  )
  return lines.map(line => `${printable(line)}\n`).join('')
}

function stepLines({ step, result, took_ms, text, hint }: StepDocument, width: number): string[] {
  const head = `  ${words[result].padEnd(8)}${step.padEnd(width)}  ${span(took_ms).padStart(6)}  `
  return [`${head}${text}`, ...(hint === undefined ? [] : [`${' '.repeat(head.length)}${hint}`])]
}
