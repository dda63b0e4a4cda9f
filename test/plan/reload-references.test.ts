/** Whatever a schema says is the id of an extension makes its user restart when that extension does. */
import { expect, test } from 'vitest'
import * as z from 'zod'
import { clientAuthenticatorKey, serverAuthenticatorKey } from '../../core/auth.ts'
import { components } from '../support/components.ts'
import { type Definition, defineExtension } from '../../core/component.ts'
import { storageKey } from '../../core/storage.ts'
import { loadPlan } from '../../plan/load.ts'
import { planReload } from '../../plan/reload.ts'
import { options } from '../support/options.ts'

/** Can be named for everything, and changes with `x`. */
const helper = defineExtension({
  type: 'helper',
  stability: 'stable',
  summary: 'A toy.',
  signals: [],
  offers: [storageKey, serverAuthenticatorKey, clientAuthenticatorKey],
  config: z.strictObject({ x: z.number() }),
  examples: [],
  create: () => ({}),
})

const isReference = (schema: object) => 'reference' in schema && schema.reference !== undefined
const references = components.flatMap(definition =>
  options(definition.config)
    .filter(({ schema }) => [schema, ...(schema.anyOf ?? [])].some(isReference))
    .map(({ path }) => [`${definition.kind} ${definition.type}: ${path}`, definition, path] as const),
)

/** Sections that need more than an example has once they are there. */
const beside: Record<string, object> = {
  'prometheus_remote_write http.auth.authenticator': { http: { endpoint: 'http://a:1' } },
}

/** The first example of a component with `path` set. */
function section({ type, examples }: Definition, path: string, value: string): object {
  const example = structuredClone(examples[0]?.config ?? {})
  const config: Record<string, unknown> = { ...example, ...beside[`${type} ${path}`] }
  const keys = path.split('.')
  let at = config
  for (const key of keys.slice(0, -1)) {
    if (typeof at[key] !== 'object' || at[key] === null) at[key] = {}
    at = at[key] as Record<string, unknown>
  }
  at[keys[keys.length - 1]] = value
  return config
}

/** A configuration in which the component names `helper`, whose own configuration has `x`. */
function planWith(definition: Definition, path: string, x: number) {
  const { kind, type, signals } = definition
  const used = { [type]: section(definition, path, 'helper') }
  const signal = signals[0] ?? 'traces'
  const receivers = { nothing: {}, ...(kind === 'receiver' ? used : {}) }
  const yaml = {
    receivers,
    exporters: { nop: {}, ...(kind === 'exporter' ? used : {}) },
    ...(kind === 'processor' ? { processors: used } : {}),
    extensions: { helper: { x }, ...(kind === 'extension' ? used : {}) },
    service: {
      extensions: ['helper', ...(kind === 'extension' ? [type] : [])],
      pipelines: {
        [signal]: {
          receivers: Object.keys(receivers),
          processors: kind === 'processor' ? [type] : [],
          exporters: ['nop', ...(kind === 'exporter' ? [type] : [])],
        },
      },
    },
  }
  const text = JSON.stringify(yaml)
  const env = Object.fromEntries([...text.matchAll(/\$\{env:(\w+)/g)].map(([, name]) => [name, 'set']))
  return loadPlan({ sources: [`yaml:${text}`], components: [...components, helper, nothing], env }).plan
}

const nothing: Definition = {
  kind: 'receiver',
  type: 'nothing',
  stability: 'stable',
  summary: 'A toy.',
  signals: ['traces', 'metrics', 'logs'],
  config: z.strictObject({}) as never,
  examples: [],
  create: () => ({}),
}

test('there are references of every kind that is known', () => {
  expect(references.map(([name]) => name)).toEqual(
    expect.arrayContaining([
      'exporter otlp_grpc: sending_queue.storage',
      'exporter otlp_http: auth.authenticator',
      'receiver otlp: protocols.grpc.auth.authenticator',
      'extension headers_setter: additional_auth',
    ]),
  )
})

test.each(references)('%s', (_, definition, path) => {
  const before = planWith(definition, path, 1)
  const { components } = planReload(before, planWith(definition, path, 2))
  expect(components).toContainEqual(
    expect.objectContaining({ kind: definition.kind, id: definition.type, action: 'restart', reason: 'extension' }),
  )
  expect(planReload(before, planWith(definition, path, 1)).components).toEqual([])
})

test('what uses an extension that uses another restarts with that, too', () => {
  const plan = (x: number) =>
    loadPlan({
      sources: [
        `yaml:{receivers: {nothing: }, exporters: {otlp_grpc: {endpoint: "a:1", auth: {authenticator: headers_setter}}},
          extensions: {helper: {x: ${x}}, headers_setter: {additional_auth: helper, headers: [{key: a, value: b}]}},
          service: {extensions: [helper, headers_setter], pipelines: {logs: {receivers: [nothing], exporters: [otlp_grpc]}}}}`,
      ],
      components: [...components, helper, nothing],
      env: {},
    }).plan
  expect(planReload(plan(1), plan(2)).components.map(({ kind, id, reason }) => [kind, id, reason])).toEqual([
    ['exporter', 'otlp_grpc', 'extension'],
    ['extension', 'helper', 'config'],
    ['extension', 'headers_setter', 'extension'],
  ])
})
