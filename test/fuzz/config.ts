/** Fuzzing of what users write: configurations, `--set`, environment variables. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { components } from '../support/components.ts'
import { yamlOf } from '../../config/document.ts'
import { effectiveOf } from '../../config/effective.ts'
import { ConfigErrors, renderErrors } from '../../config/load.ts'
import { loadPlan, type Planned } from '../../plan/load.ts'
import { planOf } from '../../plan/plan.ts'
import { planReload } from '../../plan/reload.ts'
import { ConfigError } from '../../core/errors.ts'
import { logs, metrics, output, traces } from '../config/kyma/toys.ts'
import { Random } from '../support/otlp.ts'
import { note, type Tally, tallyOf, timed } from './findings.ts'
import { blind } from './mutate-bytes.ts'

/** One configuration as it is given on a command line. */
export interface ConfigInput {
  readonly texts: readonly string[]
  readonly sets: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** Milliseconds that one configuration may take. */
const patience = 1000

const root = join(import.meta.dirname, '../..')
const filesIn = (folder: string): string[] =>
  readdirSync(join(root, folder))
    .filter(name => name.endsWith('.yaml'))
    .map(name => readFileSync(join(root, folder, name), 'utf8'))

/** Whole configurations: the examples, those of tests and measurements, one for each example of a component, Kyma's. */
export function configCorpus(): string[] {
  const ofComponents = components.flatMap(({ kind, type, examples }) =>
    examples.map(({ config }) => {
      const parts = {
        receivers: { otlp: { protocols: { grpc: null } } },
        exporters: { debug: null },
        [`${kind}s`]: { [type]: config },
        service: {
          extensions: kind === 'extension' ? [type] : [],
          pipelines: {
            traces: {
              receivers: [kind === 'receiver' ? type : 'otlp'],
              processors: kind === 'processor' ? [type] : [],
              exporters: [kind === 'exporter' ? type : 'debug'],
            },
          },
        },
      }
      return yamlOf(parts)
    }),
  )
  const kyma = [logs(output('protocol: http')), traces(output()), metrics(`input: {otlp: {}}\n${output()}`)]
  return [...['examples', 'bench', 'test/cases/config'].flatMap(filesIn), ...ofComponents, ...kyma, kyma.join('---\n')]
}

const pieces = [
  '${env:A}',
  '${B}',
  '${env:C:-x}',
  '${env:A:-${env:B}}',
  '${env:',
  '${',
  '}',
  '$$',
  '$${A}',
  '$',
  '${file:/dev/null}',
  '${file:nowhere}',
  '${yaml:{a: [1]}}',
  '${http://x}',
  '${A${B}}',
  '${env:1}',
  '${env:A:-[1, 2]}',
  '${yaml:${env:A}}',
  '&a ',
  '*a',
  '<<: *a',
  '<<: [*a, {b: 1}]',
  '!!binary ',
  '!!set ',
  '!!str ',
  '!!int ',
  '!x ',
  '%YAML 1.1\n---\n',
  '---\n',
  '...\n',
  '? ',
  ': ',
  '- ',
  '|',
  '>-',
  '|2\n',
  '# ',
  "'",
  '"',
  '{',
  '}',
  '[',
  ']',
  ',',
  '{}',
  '[]',
  '~',
  'null',
  '"\\u',
  '"\\ud800"',
  '\t',
  '\r\n',
  '\r',
  '\n',
  '\n  ',
  '\u0000',
  '\ufeff',
  '\u2028',
  '🦊',
  'ä',
  '\ud800',
  '::',
  'a::b: 1\n',
  '=',
  '__proto__: 1\n',
  'constructor: {}\n',
  'toString',
  '1e999',
  '-0',
  '0x1f',
  '0o17',
  '017',
  '1_000',
  '.inf',
  '.nan',
  '99999999999999999999',
  '-1',
  '10s',
  '1h5m',
  '-1s',
  '10',
  '1e3s',
  '0.5ms',
  '5x',
  'true',
  'no',
  '2026-11-20',
  '1:30',
  'localhost:4317',
  ':0',
  '[::1]:1',
  'otlp',
  'otlp/two',
  'otlp/',
  '/x',
  'traces/',
  'batch: {timeout: 1s}\n',
  'receivers',
  'service:\n  pipelines: 3\n',
  '(?P<x>.)',
  '(',
  '(?i)a',
  '[[:alpha:]]',
  '(a+)+$',
  '\\',
  '^\\p{Greek}',
  '*',
  'http://%',
  'unix:///x',
  'password: hunter2\n',
]

/** Makes input `index`: always the same. */
export function configInputs(seed: number): (index: number) => ConfigInput {
  const corpus = configCorpus()
  const lines = corpus.flatMap(text => text.split('\n')).filter(line => line.trim() !== '')
  return index => {
    const random = new Random(seed * 0x9e3779b1 + index * 0x85ebca6b)
    const texts = [mutate(random, random.pick(corpus), lines)]
    if (random.chance(6)) texts.push(mutate(random, random.pick(corpus), lines))
    const sets = Array.from({ length: random.chance(4) ? 1 + random.next(3) : 0 }, () => setOf(random, lines))
    const env: Record<string, string> = {}
    for (const name of ['A', 'B', 'C', 'CLUSTER_NAME']) if (random.chance(2)) env[name] = valueOf(random, lines)
    return { texts, sets, env }
  }
}

function valueOf(random: Random, lines: readonly string[]): string {
  const parts = Array.from({ length: random.next(4) }, () =>
    random.chance(3) ? random.pick(lines) : random.pick(pieces),
  )
  return parts.join('').repeat(random.chance(30) ? 50 : 1)
}

function setOf(random: Random, lines: readonly string[]): string {
  const words = [
    'service',
    'telemetry',
    'pipelines',
    'traces',
    'receivers',
    'otlp',
    'protocols',
    'grpc',
    'endpoint',
    'batch',
  ]
  const key = Array.from({ length: 1 + random.next(4) }, () =>
    random.chance(8) ? random.pick(pieces) : random.pick(words),
  )
  return `${key.join(random.pick(['.', '.', '::']))}${random.chance(20) ? '' : '='}${valueOf(random, lines)}`
}

function mutate(random: Random, base: string, lines: readonly string[]): string {
  let text = base
  for (let left = random.chance(5) ? 0 : random.chance(2) ? 1 : 1 + random.next(5); left > 0; left--)
    text = change(random, text, lines)
  return text.slice(0, 100_000)
}

function change(random: Random, text: string, lines: readonly string[]): string {
  const at = random.next(text.length + 1)
  const rows = text.split('\n')
  const row = random.next(rows.length)
  switch (random.next(12)) {
    case 0:
    case 1:
      return text.slice(0, at) + random.pick(pieces) + text.slice(at + (random.chance(2) ? 0 : random.next(8)))
    case 2:
      return rows.toSpliced(row, 1 + random.next(3)).join('\n')
    case 3:
      return rows.toSpliced(row, 0, ...rows.slice(row, row + 1 + random.next(5))).join('\n')
    case 4:
      return rows.toSpliced(row, random.next(2), random.pick(lines)).join('\n')
    case 5: {
      const spaces = ' '.repeat(random.next(9))
      return rows.with(row, spaces + rows[row].trimStart()).join('\n')
    }
    case 6: {
      const other = random.next(rows.length)
      return rows.with(row, rows[other]).with(other, rows[row]).join('\n')
    }
    case 7:
      return rows
        .with(
          row,
          rows[row].replace(/(?<=[:-] ).*$/, () => valueOf(random, lines)),
        )
        .join('\n')
    case 8:
      return rows
        .with(
          row,
          rows[row].replace(/[\w.-]+(?=:)/, () => random.pick(pieces)),
        )
        .join('\n')
    case 9:
      return deep(random, text, at)
    case 10:
      return blind(random, Buffer.from(text), Buffer.from(random.pick(lines))).toString()
    default:
      return text.slice(0, at)
  }
}

/** Something that nests or repeats where it stands. */
function deep(random: Random, text: string, at: number): string {
  const times = random.pick([2, 10, 100, 1000])
  const nested = random.pick([
    '['.repeat(times),
    `${'['.repeat(times)}${']'.repeat(times)}`,
    `${'{a: '.repeat(times)}1${'}'.repeat(times)}`,
    `x${'::x'.repeat(times)}: 1\n`,
    '${yaml:'.repeat(times) + '}'.repeat(times),
    `${'- '.repeat(times)}x`,
    'a: 1\n'.repeat(times),
    Array.from({ length: Math.min(times, 40) }, (_, i) => `\nb${i}: &b${i} [*b${i - 1}, *b${i - 1}]`).join(''),
    `"${'\\n'.repeat(times)}"`,
    '? '.repeat(times),
  ])
  return text.slice(0, at) + nested + text.slice(at)
}

/** Loads configurations; each must be right, or say what is wrong with it and where. */
export function fuzzConfig(seed: number, from: number, count: number, began?: (index: number) => void): Tally {
  const tally = tallyOf('config')
  const inputOf = configInputs(seed)
  let before: Planned | undefined
  for (let index = from; index < from + count; index++) {
    began?.(index)
    const input = inputOf(index)
    const since = performance.now()
    const fault = (what: string) =>
      note(tally, { what, seed, index, input: Buffer.from(JSON.stringify(input, undefined, 1)) })
    try {
      const loaded = load(input)
      tally.accepted++
      yamlOf(effectiveOf(loaded))
      if (before !== undefined) planReload(planOf(before.configured), planOf(loaded.configured))
      before = loaded
      complaints(loaded.warnings, input, fault)
    } catch (error) {
      tally.refused++
      if (error instanceof ConfigErrors) complaints([...error.errors, ...error.warnings], input, fault)
      else fault(error instanceof Error ? (error.stack ?? error.message) : String(error))
    }
    tally.inputs++
    timed(tally, index, since)
    if (performance.now() - since > patience) fault('took too long')
  }
  return tally
}

/** Loads one input. */
export function load({ texts, sets, env }: ConfigInput): Planned {
  return loadPlan({ sources: texts.map(text => `yaml:${text}`), sets, env, components })
}

/** Looks at what the user is told: it has to be about something that stands there. */
function complaints(errors: readonly ConfigError[], input: ConfigInput, fault: (what: string) => void): void {
  const known = new Map<string, string>([
    ...input.texts.map((text, i) => [`--config[${i}]`, text] as const),
    ...input.sets.map(set => [`--set ${set.slice(0, set.indexOf('=')).trim()}`, set] as const),
  ])
  for (const error of errors) {
    if (!(error instanceof ConfigError)) fault(`no ConfigError: ${String(error)}`)
    const { position, message } = error
    if (position === undefined) continue
    const text = known.get(position.file)
    if (text === undefined) fault(`in \`${position.file}\`, which is no source: ${message}`)
    else if (!position.file.startsWith('--set') && !lies(text, position)) {
      fault(`at ${position.line}:${position.column}, outside of the file: ${message}`)
    }
  }
  if (renderErrors(errors) === '' && errors.length > 0) fault('errors without a text')
}

function lies(text: string, { line, column }: { line: number; column: number }): boolean {
  const row = text.split('\n')[line - 1]
  return row !== undefined && column >= 1 && column <= row.length + 1
}
