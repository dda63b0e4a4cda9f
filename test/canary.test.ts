/**
 * Nothing that came from a variable or a file, and no secret, is in anything that Kymo says. Every option of every component
 * is tried, and nobody opts in: what is in the list of components, and in their schemas, is tested.
 */
import { describe, expect, test } from 'vitest'
import { explanationOf } from '../cli/explain.ts'
import { explanationText } from '../cli/explanation-text.ts'
import { rendered } from '../cli/print-config.ts'
import { components } from './support/components.ts'
import { differencesOf } from '../config/diff.ts'
import { yamlOf } from '../config/document.ts'
import { effectiveOf } from '../config/effective.ts'
import { ConfigErrors, renderErrors } from '../config/load.ts'
import { loadPlan, type Planned } from '../plan/load.ts'
import { Books } from '../core/books.ts'
import { Budget, budgetKey } from '../core/budget.ts'
import type { Definition } from '../core/component.ts'
import { messageOf } from '../core/errors.ts'
import { Host } from '../core/host.ts'
import { Journal } from '../core/journal.ts'
import { MemoryPlan, memoryPlanKey } from '../core/memory.ts'
import { Listeners, listenersKey } from '../net/listeners.ts'
import { Graph } from '../pipelines/graph/graph.ts'
import { planOf } from '../plan/plan.ts'
import { SelfReport, selfReportKey } from '../telemetry/self-report.ts'
import { keepingLogger, type Line } from './support/kymo.ts'
import { type JsonSchema, jsonSchema } from './support/options.ts'
import { tracesRequest } from './support/otlp-bytes.ts'
import { runService } from './support/service.ts'

/** Its middle is in no word of ours; without capitals, because some keys are made small. */
const mark = 'zq7xk93v'
const canary = `canary-${mark}-end`

/**
 * What may be told although it came from outside, and why:
 * - keys of a section that a reference brings: they are structure, and without them nothing could be said of what is wrong;
 * - ids of components that exist: whatever is told of a component has its id;
 * - in an explanation, what follows from numbers, durations and truth values: that is what it explains;
 * - while it runs, hosts and ports of endpoints: whoever looks for a fault has to know what is not reached.
 */
type Path = readonly (string | number)[]

/** Where single values can stand in a configuration. */
function* leavesOf(schema: JsonSchema & { readonly type?: unknown }, path: Path, depth = 0): Generator<Path> {
  const { properties, additionalProperties, items, anyOf = [], allOf = [], oneOf = [] } = schema
  if (depth > 12) return
  const members = [...anyOf, ...allOf, ...oneOf]
  for (const member of members) yield* leavesOf(member, path, depth + 1)
  for (const [key, inner] of Object.entries(properties ?? {})) yield* leavesOf(inner, [...path, key], depth + 1)
  if (typeof additionalProperties === 'object') yield* leavesOf(additionalProperties, [...path, 'some'], depth + 1)
  if (items !== undefined) yield* leavesOf(items, [...path, 0], depth + 1)
  const isSection = properties !== undefined || typeof additionalProperties === 'object' || items !== undefined
  if (!isSection && members.length === 0) yield path
}

/** The value with another one in it. */
function put(value: unknown, path: Path, inner: unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined) return inner
  if (typeof step === 'number') return [put(Array.isArray(value) ? value[0] : undefined, rest, inner)]
  const section = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
  return { ...section, [step]: put((section as Record<string, unknown>)[step], rest, inner) }
}

/** A whole configuration in which one component has this section. */
function around({ kind, type, signals }: Definition, config: unknown): string {
  const id = `${type}/it`
  const signal = signals[0] ?? 'logs'
  const base = {
    receivers: { nothing: {}, otlp: { protocols: { http: { endpoint: '127.0.0.1:0' } } } },
    processors: {},
    exporters: { nop: {} },
    connectors: {},
    extensions: {},
  }
  const { nothing: _, ...receivers } = base.receivers
  const pipeline = {
    receivers: [kind === 'receiver' ? id : 'otlp'],
    processors: kind === 'processor' ? [id] : [],
    exporters: [kind === 'exporter' ? id : 'nop'],
  }
  const sections: Record<string, Record<string, unknown>> = { ...base, receivers }
  sections[`${kind}s`] = { ...sections[`${kind}s`], [id]: config }
  const extensions = kind === 'extension' ? [id] : []
  return yamlOf({ ...sections, service: { extensions, pipelines: { [signal]: pipeline } } })
}

/** Everything that is told of a text without running it, and what came of loading it. */
function toldOf(
  text: string,
  env: NodeJS.ProcessEnv,
  other: Planned,
): { told: string[]; explained: string[]; loaded: Planned | undefined } {
  const readFile = (path: string) => (path === '/run/secret' ? `${env['CANARY'] ?? ''}\n` : '')
  let loaded: Planned
  try {
    loaded = loadPlan({ sources: [], text: { name: 'a.yaml', text }, components, env, readFile })
  } catch (error) {
    if (!(error instanceof ConfigErrors)) throw error
    const { errors, warnings } = error
    return {
      told: [error.message, renderErrors([...errors, ...warnings]), JSON.stringify([errors])],
      loaded: undefined,
      explained: [],
    }
  }
  const root = effectiveOf(loaded)
  const explanation = explanationOf(loaded)
  const told = [
    renderErrors(loaded.warnings),
    JSON.stringify(loaded.document),
    rendered(root, { format: 'yaml', mode: 'redacted' }),
    rendered(root, { format: 'json', mode: 'redacted', origin: true }),
    JSON.stringify([differencesOf(other, loaded), differencesOf(loaded, other)]),
  ]
  return { told, explained: [JSON.stringify(explanation), explanationText(explanation)], loaded }
}

/** What making the parts of a configuration tells, which starts nothing. */
function toldWhenMade({ configured }: Planned): string[] {
  const budget = new Budget(1 << 28)
  const lines: Line[] = []
  const facts = { physical: 1 << 30, container: undefined, baseline: 0, young: 0, windows: 0 }
  const host = new Host()
    .provide(budgetKey, budget)
    .provide(listenersKey, new Listeners())
    .provide(memoryPlanKey, new MemoryPlan(budget, facts))
    .provide(selfReportKey, new SelfReport({}, 'test'))
  try {
    const graph = new Graph(planOf(configured), {
      host,
      log: keepingLogger(lines),
      books: new Books(),
      journal: new Journal(),
    })
    return [JSON.stringify([lines, graph.components.map(one => one.status.lastError)])]
  } catch (error) {
    return [messageOf(error), JSON.stringify(lines)]
  }
}

const nothing = loadPlan({
  sources: [],
  text: { name: 'b.yaml', text: around(components[0], { protocols: { http: {} } }) },
  components,
  env: {},
})

describe.each(components.map(one => [`${one.kind} ${one.type}`, one] as const))('%s', (_, definition) => {
  const base = definition.examples[0]?.config ?? {}
  const leaves = [
    ...new Map([...leavesOf(jsonSchema(definition.config), [])].map(one => [one.join('.'), one])).values(),
  ]

  const check = (paths: readonly Path[], written: string, value: string) => {
    const hidden = value === canary ? mark : value
    const config = paths.reduce<unknown>((made, path) => put(made, path, written), base)
    const { told, explained, loaded } = toldOf(around(definition, config), { CANARY: value }, nothing)
    // What follows from numbers is what an explanation is about.
    if (value === canary) told.push(...explained)
    if (loaded !== undefined) told.push(...toldWhenMade(loaded))
    for (const text of told) expect(text.toLowerCase(), paths[0]?.join('::')).not.toContain(hidden)
  }

  test('tells no value of a variable, at whichever key', () => {
    for (const path of leaves) check([path], '${env:CANARY}', canary)
  })

  test.each([
    ['of a file', '${file:/run/secret}', canary],
    ['that is a number', '${env:CANARY}', '739284617'],
    ['that is a part', 'http://u:${env:CANARY}@h:1/?k=${env:CANARY}', canary],
  ])('tells no value %s, at all keys at once', (_, written, value) => {
    check(leaves, written, value)
  })

  test('tells no secret that is written in the configuration', () => {
    for (const path of leaves) {
      const text = around(definition, put(base, path, canary))
      const { told, explained, loaded } = toldOf(text, {}, nothing)
      if (loaded === undefined || !isSecretAt(definition, path, loaded)) continue
      told.push(...explained, ...toldWhenMade(loaded))
      for (const one of told) expect(one.toLowerCase(), path.join('::')).not.toContain(mark)
    }
  })
})

/** Whether what stands at a path never prints. */
function isSecretAt({ kind, type }: Definition, path: Path, { configured }: Planned): boolean {
  let at: unknown = configured[`${kind}s`].get(`${type}/it`)?.config
  for (const step of path)
    at = typeof at === 'object' && at !== null ? (at as Record<string | number, unknown>)[step] : at
  return JSON.stringify(at) === '"[REDACTED]"'
}

const running = `
receivers: {otlp: {protocols: {http: {endpoint: 127.0.0.1:0}}}}
processors:
  attributes: {actions: [{key: "\${env:CANARY}", value: "\${env:CANARY}", action: upsert}]}
exporters:
  otlp_http:
    endpoint: "http://\${env:CANARY}:\${env:CANARY}@127.0.0.1:9/\${env:CANARY}?key=\${env:CANARY}"
    sending_queue: {enabled: false}
    retry_on_failure: {enabled: false}
    headers: {a: "\${env:CANARY}"}
    tls: {ca_file: "/nowhere/\${env:CANARY}"}
  file: {path: "/nowhere/\${env:CANARY}/x", create_directory: false}
  nop:
extensions:
  zpages: {endpoint: 127.0.0.1:0}
  bearertokenauth: {token: "\${env:CANARY}"}
service:
  extensions: [zpages, bearertokenauth]
  telemetry: {logs: {level: debug}}
  pipelines: {traces: {receivers: [otlp], processors: [attributes], exporters: [EXPORTER]}}
`

const pages = [
  '/status',
  '/metrics',
  '/v1/config',
  '/v1/components',
  '/v1/batches',
  '/v1/events',
  '/v1/log',
  '/v1/process',
  '/v1/senders',
  '/v1/refused',
  '/v1/queues',
  '/v1/pipelines',
  '/health/ready',
]

test('a process tells none: in its log, its pages, and when it is to take over what is wrong', async () => {
  const kymo = await runService(running.replace('EXPORTER', 'otlp_http'), { CANARY: canary })
  try {
    const told: string[] = []
    await fetch(`http://${kymo.endpoints.at(-1)}/v1/traces`, {
      method: 'POST',
      body: 'x',
      headers: { authorization: canary },
    })
    const answer = await fetch(`http://${kymo.endpoints.at(-1)}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf' },
      body: new Uint8Array(tracesRequest([{ spans: ['a'] }])),
    })
    // What it hears is what the exporter said.
    expect(answer.status).toBe(503)
    told.push(await answer.text(), await kymo.page('/v1/batches?what=attempt_failed'))
    expect(told.at(-1)).toContain('ECONNREFUSED')
    for (const text of [
      running.replace('EXPORTER', 'file'),
      running.replace('EXPORTER', '"${env:CANARY}"'),
      running.replace('EXPORTER', 'nop').replace('level: debug', 'level: "${env:CANARY}"'),
    ])
      told.push(JSON.stringify(await kymo.service.reload({ trigger: 'request', text })))
    for (const page of pages) told.push(await kymo.page(page))
    const zpages = kymo.endpoints[0]
    for (const page of ['/debug/servicez', '/debug/pipelinez', '/debug/extensionz'])
      told.push(await (await fetch(`http://${zpages}${page}`)).text())
    told.push(JSON.stringify(kymo.lines))
    for (const text of told) expect(text.toLowerCase()).not.toContain(mark)
  } finally {
    await kymo.stop()
  }
})
