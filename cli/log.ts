/** `kymo log`: the last lines of the log of a Kymo that runs; and the level of a component, for a time. */
import { exitCodes } from '../service/process.ts'
import type { LogDocument, LogLineDocument, RaisedDocument } from '../service/log-pages.ts'
import { consoleText, logLevels } from '../telemetry/logger.ts'
import { ask } from './admin-client.ts'
import { following } from './follow.ts'
import { clock, printable } from './format.ts'
import { orTell } from './or-tell.ts'

/** Which lines, and how to print them, or for how long a level is set. */
export interface LogOptions {
  readonly admin: string
  readonly level?: string | undefined
  readonly since?: string | undefined
  readonly limit?: string | undefined
  readonly follow?: boolean | undefined
  readonly for?: string | undefined
  readonly json?: boolean | undefined
}

/** Prints the lines of `component` (of all without it), or sets its level; resolves to the exit code. */
export function ownLog(component: string | undefined, level: string | undefined, options: LogOptions): Promise<number> {
  if (component !== undefined && level !== undefined) return setLevel(component, level, options)
  const isLevel = logLevels.some(one => one === component)
  if (isLevel || options.for !== undefined) {
    const what = isLevel ? `\`${component ?? ''}\` is a level` : '--for is how long a level is set'
    process.stderr.write(
      `${what}: write \`kymo log COMPONENT LEVEL --for 10m\` to set one, or \`kymo log --level LEVEL\` for lines\n`,
    )
    return Promise.resolve(exitCodes.failed)
  }
  return show(component, options)
}

function show(component: string | undefined, options: LogOptions): Promise<number> {
  const { admin, follow = false, json = false } = options
  const query = new URLSearchParams(component === undefined ? {} : { component })
  for (const name of ['level', 'since', 'limit'] as const) {
    const value = options[name]
    if (value !== undefined) query.set(name, value)
  }
  return following<LogDocument>({
    admin,
    path: '/v1/log',
    query,
    follow,
    write(answer, isFirst) {
      process.stdout.write(
        json ? answer.lines.map(({ line }) => `${JSON.stringify(line)}\n`).join('') : linesText(answer, isFirst),
      )
    },
  })
}

/** The lines, the newest last, and which levels are not those of the configuration. */
export function linesText({ lines, more, kept, raised }: LogDocument, isFirst: boolean): string {
  if (!isFirst) return lines.map(lineText).join('')
  const earlier = more === true ? `... and earlier ones; narrow it down, or raise --limit\n` : ''
  const none = lines.length === 0 ? `none of the last ${kept} lines matches\n` : ''
  return `${earlier}${none}${lines.map(lineText).join('')}${raised.map(raisedText).join('')}`
}

/** As on standard error; what a terminal would obey is left out. */
function lineText({ line }: LogLineDocument): string {
  return `${consoleText(line).trimEnd().split('\n').map(printable).join('\n')}\n`
}

const raisedText = ({ component, level, until }: RaisedDocument): string =>
  `(the level of ${printable(component)} is ${level} until ${clock(until)})\n`

function setLevel(component: string, level: string, { admin, for: length, json }: LogOptions): Promise<number> {
  return orTell(async () => {
    const command = { component, level, ...(length === undefined ? {} : { for: length }) }
    const answer = (await ask(admin, '/v1/log/level', command)) as { readonly raised: readonly RaisedDocument[] }
    if (json === true) process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`)
    else process.stdout.write(levelText(component, answer.raised))
    return exitCodes.clean
  })
}

function levelText(component: string, raised: readonly RaisedDocument[]): string {
  const found = raised.find(one => one.component === component)
  if (found === undefined) return `the level of ${component} is the configured one again\n`
  const { level, until } = found
  return (
    `the level of ${component} is ${level} until ${clock(until)}; then it is the configured one again\n` +
    `lines: kymo log ${component} --follow; back at once: kymo log ${component} configured\n`
  )
}
