/** `kymo reload`: has a Kymo that runs read its configuration again, and tells what that changed or why it did not. */
import { exitCodes } from '../service/process.ts'
import type { Complaint, ReloadOutcome } from '../service/reloads.ts'
import { ownTelemetry } from '../service/settings.ts'
import { AskError, tell } from './admin-client.ts'
import type { SourceOptions } from './options.ts'
import { printable } from './format.ts'
import { load } from './load.ts'
import { orTell } from './or-tell.ts'
import { planText, restartText } from './reload-text.ts'

/** What it is told. */
export interface ReloadOptions extends SourceOptions {
  readonly admin: string
  readonly dryRun?: boolean | undefined
  readonly json?: boolean | undefined
}

/** Milliseconds it may take: components start before the answer, with deadlines of their own. */
const patience = 120_000

/** Asks, prints, and resolves to the exit code. `isNamed`: the address is one that the user gave. */
export function reload(options: ReloadOptions, isNamed: boolean): Promise<number> {
  const { config, admin, dryRun, json } = options
  return orTell(async () => {
    const address = isNamed || config.length === 0 ? admin : await addressIn(options)
    // Told by `load`.
    if (address === undefined) return exitCodes.failed
    const path = `/v1/reload${dryRun === true ? '?dry_run=true' : ''}`
    // Our own admin server: an answer with a result is an outcome.
    const outcome = (await tell(address, path, 'result', patience)) as unknown as ReloadOutcome
    const { out, err } = outcomeText(outcome)
    process.stdout.write(json === true ? `${JSON.stringify(outcome, null, 2)}\n` : out)
    process.stderr.write(json === true ? '' : err)
    return isGood(outcome) ? exitCodes.clean : exitCodes.failed
  })
}

const isGood = ({ result }: ReloadOutcome): boolean =>
  result === 'applied' || result === 'unchanged' || result === 'planned'

/** Where a process with this configuration is asked; undefined when the configuration is wrong, which has been told. */
async function addressIn(options: SourceOptions): Promise<string | undefined> {
  const loaded = await load(options)
  if (loaded === undefined) {
    process.stderr.write('nobody was asked to reload; --admin asks all the same\n')
    return undefined
  }
  const { endpoint } = ownTelemetry(loaded.telemetry, {}, '').admin
  return reachable(endpoint)
}

/** Where what listens on `endpoint` is reached from this machine. @throws AskError when that cannot be told */
export function reachable(endpoint: string): string {
  if (endpoint.startsWith('unix:')) return endpoint
  const at = endpoint.lastIndexOf(':')
  const [host, port] = [endpoint.slice(0, at), endpoint.slice(at + 1)]
  if (port === '0') {
    throw new AskError('the configuration leaves the port of the admin server open; its log says which it is: --admin')
  }
  if (host === '0.0.0.0' || host === '') return `127.0.0.1:${port}`
  return host === '[::]' ? `[::1]:${port}` : endpoint
}

/** What came of it: changes on standard output, what is wrong on standard error. */
export function outcomeText({ result, plan, errors = [], warnings = [], restart_needed: later = [] }: ReloadOutcome): {
  readonly out: string
  readonly err: string
} {
  const told = warnings.map(one => complaintText(one, 'warning: ')).join('')
  const changes = plan === undefined ? '' : planText(plan)
  const needs = restartText(later)
  switch (result) {
    case 'applied':
      return { out: `The new configuration has been taken over.\n${changes}${needs}`, err: told }
    case 'unchanged':
      return { out: `Nothing has changed: the configuration is as it was.\n${needs}`, err: told }
    case 'planned': {
      const would = changes === '' ? 'A reload would restart nothing.\n' : `A reload would:\n${changes}`
      return { out: `${would}${needs}`, err: told }
    }
    case 'failed': {
      const count = errors.length === 1 ? '1 error' : `${errors.length} errors`
      const list = errors.map(one => complaintText(one, '')).join('')
      return { out: '', err: `${told}${list}${count}; nothing has changed, what ran goes on\n` }
    }
    case 'superseded':
      return { out: '', err: 'another reload was asked for before this one began; that one counts: ask again to see\n' }
    case 'refused':
      return { out: '', err: `${errors.map(one => complaintText(one, '')).join('')}try again when it runs\n` }
  }
}

function complaintText({ code, message, file, line, column, hint }: Complaint, kind: string): string {
  const where = file === undefined ? '' : `${file}:${line}:${column}: `
  const what = `${where}${kind}${code === undefined ? '' : `${code}: `}${message}`
  return `${printable(what)}\n${hint === undefined ? '' : `  hint: ${printable(hint)}\n`}`
}
