/** A5, A6 and A17 of the faults of November 2026: what is wrong with a configuration is told with its place, before it runs. */
import { expect, test } from 'vitest'
import * as z from 'zod'
import { components } from '../support/components.ts'
import { describedAs, shapeOf } from '../../config/shape.ts'
import { defineExporter } from '../../core/component.ts'
import { sending } from '../../core/sending.ts'
import { telemetryConfig } from '../../telemetry/config.ts'
import { errorsOf } from '../config/toys.ts'

const around = (sections: string, pipelines: string) => `receivers: {otlp: {protocols: {http: }}}
${sections}
service: {pipelines: {${pipelines}}}`

const all = ['traces', 'metrics', 'logs'] as const

test.each(all.flatMap(own => all.filter(other => other !== own).map(other => [own, other] as const)))(
  'A17: `otlp_http` with `%s_endpoint` alone, in a pipeline of %s, is an error',
  (own, other) => {
    const text = around(
      `exporters: {otlp_http: {${own}_endpoint: "http://x:1/v1/${own}"}}`,
      `${own}: {receivers: [otlp], exporters: [otlp_http]}, ${other}: {receivers: [otlp], exporters: [otlp_http]}`,
    )
    expect(errorsOf(text, { components })).toEqual([
      `2:24 exporters::otlp_http: it is in a pipeline of ${other} and has no URL for them ` +
        `(set \`endpoint\` or \`${other}_endpoint\`, or take it out of the pipeline)`,
    ])
  },
)

test.each(all)('A17: with `endpoint`, or `%s_endpoint` alone in a pipeline of its own, it is right', own => {
  for (const exporter of ['{endpoint: "http://x:1"}', `{${own}_endpoint: "http://x:1/v1/${own}"}`]) {
    const text = around(`exporters: {otlp_http: ${exporter}}`, `${own}: {receivers: [otlp], exporters: [otlp_http]}`)
    expect(errorsOf(text, { components })).toEqual([])
  }
})

/** Where a user can give a pattern, and how the value is written. */
const patterns: Readonly<Record<string, (pattern: string) => string>> = {
  'attributes: extract': one => `processors: {attributes: {actions: [{key: u, action: extract, pattern: ${one}}]}}`,
  'attributes: delete': one => `processors: {attributes: {actions: [{action: delete, pattern: ${one}}]}}`,
  'attributes: hash': one => `processors: {attributes: {actions: [{action: hash, pattern: ${one}}]}}`,
  'attributes: include, attributes': one =>
    `processors: {attributes: {include: {match_type: regexp, attributes: [{key: a, value: ${one}}]}, actions: [{key: a, action: delete}]}}`,
  'attributes: include, resources': one =>
    `processors: {attributes: {include: {match_type: regexp, resources: [{key: a, value: ${one}}]}, actions: [{key: a, action: delete}]}}`,
  'attributes: exclude, log_bodies': one =>
    `processors: {attributes: {exclude: {match_type: regexp, log_bodies: [${one}]}, actions: [{key: a, action: delete}]}}`,
  'attributes: include, libraries': one =>
    `processors: {attributes: {include: {match_type: regexp, libraries: [{name: ${one}}]}, actions: [{key: a, action: delete}]}}`,
  'resource: delete': one => `processors: {resource: {attributes: [{action: delete, pattern: ${one}}]}}`,
  'redaction: blocked_values': one => `processors: {redaction: {allow_all_keys: true, blocked_values: [${one}]}}`,
  'redaction: allowed_values': one => `processors: {redaction: {allow_all_keys: true, allowed_values: [${one}]}}`,
  'redaction: blocked_key_patterns': one =>
    `processors: {redaction: {allow_all_keys: true, blocked_key_patterns: [${one}]}}`,
}

const withPattern = (where: string, pattern: string) =>
  around(
    `exporters: {nop: }\n${patterns[where](JSON.stringify(pattern))}`,
    `logs: {receivers: [otlp], processors: [${where.split(':')[0]}], exporters: [nop]}`,
  )

test.each(Object.keys(patterns))(
  'A5, A6: %s takes what RE2 takes, and tells with its place what it does not',
  where => {
    // Named groups, as `extract` wants them; what JavaScript reads otherwise, or not at all.
    for (const right of [
      '(?P<a>[[:digit:]]{4})',
      '(?P<a>\\pL\\Q.\\E\\x{41})',
      '\\A(?P<a>x)\\z',
      '(?P<a>[]a])',
      '(?P<a>b)(?U)c+',
    ])
      expect(errorsOf(withPattern(where, right), { components }), right).toEqual([])
    for (const wrong of ['(', '(?P<a.b>x)', 'a(?=b)', '(?P<a>x)\\1', '[', '*', '(?P<a>x){1001}', '\\8']) {
      const told = errorsOf(withPattern(where, wrong), { components })
      expect(told, wrong).toHaveLength(1)
      expect(told[0], wrong).toMatch(/^3:\d+ processors::\w+::.*no regular expression: /)
    }
  },
)

test('A6: a check that throws is told at the section of its component, and quotes nothing of it', () => {
  const broken = defineExporter({
    type: 'broken',
    stability: 'alpha',
    summary: 'Its check throws.',
    signals: all,
    ordering: 'none',
    config: z.strictObject({ ...sending(), a: z.string() }).refine(({ a }) => {
      throw new TypeError(`cannot do with ${a}`)
    }),
    examples: [],
    create: () => ({ send: () => Promise.resolve(undefined) }),
  })
  const text = around('exporters: {broken: {a: hidden}}', 'logs: {receivers: [otlp], exporters: [broken]}')
  expect(errorsOf(text, { components: [...components, broken] })).toEqual([
    "2:21 exporters::broken: its check failed with TypeError, which is a fault of Kymo's own " +
      '(please report it, with this section but its secrets)',
  ])
})

/** Every schema inside of another, with the keys that lead there. */
function* schemasIn(
  schema: z.core.$ZodType,
  path = '',
  seen: ReadonlySet<z.core.$ZodType> = new Set(),
): Generator<[path: string, schema: z.core.$ZodType]> {
  yield [path, schema]
  const { schema: bare } = shapeOf(schema)
  if (seen.has(bare)) return
  const inside = new Set([...seen, bare])
  const { def } = bare._zod
  if (def.type === 'object')
    for (const [key, inner] of Object.entries(def.shape)) yield* schemasIn(inner, `${path}.${key}`, inside)
  else if (def.type === 'array') yield* schemasIn(def.element, `${path}[]`, inside)
  else if (def.type === 'record') yield* schemasIn(def.valueType, `${path}.*`, inside)
  else if (def.type === 'union') for (const option of def.options) yield* schemasIn(option, path, inside)
}

/** Whether a schema refuses a text that is no pattern, or a list of it, because it is none. */
const refusesBroken = (schema: z.core.$ZodType) =>
  ['(', ['(']].some(broken => {
    const { success, error } = z.safeParse(schema, broken)
    return !success && JSON.stringify(error.issues).includes('no regular expression')
  })

/** Keys that speak of patterns and take none: wildcards of files, how texts are compared, settings without effect. */
const takesNone = new Set(['.include', '.exclude', 'match_type', 'regexp', 'cacheenabled', 'cachemaxnumentries'])
/** Keys whose texts are patterns only where `match_type` says so, which is checked where both are known: see above. */
const hostNames = ['devices', 'fs_types', 'mount_points', 'interfaces', 'names']
const mayTake = new Set(['value', 'name', 'version', ...hostNames])

test('A5: every key of every component that says it takes a pattern has RE2 behind it', () => {
  const sections = [
    ...components.map(({ kind, type, config }) => [`${kind} ${type}`, config] as const),
    ['service telemetry', telemetryConfig] as const,
  ]
  const found: string[] = []
  const bare: string[] = []
  for (const [name, config] of sections) {
    for (const [path, schema] of schemasIn(config)) {
      const text = describedAs(schema) ?? ''
      const key = path.split('.').at(-1) ?? ''
      const speaks = /pattern|regular expression|regexp/i.test(`${key} ${text}`)
      if (
        !speaks ||
        found.includes(`${name}${path}`) ||
        key.endsWith('[]') ||
        takesNone.has(path) ||
        takesNone.has(key) ||
        mayTake.has(key)
      )
        continue
      found.push(`${name}${path}`)
      if (!refusesBroken(schema)) bare.push(`${name}${path}: ${text}`)
    }
  }
  expect(bare).toEqual([])
  expect(found).toContain('processor redaction.blocked_key_patterns')
  expect(found).toContain('processor attributes.actions[].pattern')
  expect(found).toContain('exporter datadog.traces.ignore_resources')
})
