/** What `include` and `exclude` may say of the items a processor is for, with the Collector's keys and checks. */
import * as z from 'zod'
import type { Unfit } from '../core/component.ts'
import { int, texts } from '../core/fields.ts'
import { checkedPattern } from '../core/pattern-field.ts'
import { anyValue } from '../core/value-field.ts'
import { enums } from '../proto/schema.ts'
import type { Signal } from '../proto/signals.ts'
import type { Writable } from '../proto/values.ts'

const attribute = z.strictObject({
  key: z.string().min(1, { error: '`key` must not be empty' }).describe('The name of the attribute.'),
  value: anyValue
    .nullish()
    .describe(
      'Its value, of the same type; with `match_type: regexp` a pattern for its text. Any value when left out.',
    ),
})

const library = z.strictObject({
  name: z.string().describe('The name of the instrumentation scope.'),
  version: z.string().optional().describe('Its version; any when left out, none when empty.'),
})

const severity = z.strictObject({
  min: int().default(0).describe('The lowest severity number that matches.'),
  match_undefined: z.boolean().default(false).describe('Whether records without a severity number match.'),
})

const cache = z.strictObject({
  cacheenabled: z.boolean().default(false).describe('Accepted and ignored: patterns are matched anew.'),
  cachemaxnumentries: int(0).default(0).describe('Accepted and ignored: patterns are matched anew.'),
})

const properties = z.strictObject({
  match_type: z
    .enum(['strict', 'regexp'])
    .describe('How texts are compared: `strict` to be the same, `regexp` to match a regular expression.'),
  regexp: cache.optional().describe('Settings of the cache of matches.'),
  services: texts().prefault([]).describe('Traces: values of `service.name`, one of which must match.'),
  span_names: texts().prefault([]).describe('Traces: names of spans, one of which must match.'),
  span_kinds: texts()
    .prefault([])
    .describe('Traces: kinds of spans, such as `SPAN_KIND_SERVER`, one of which must match.'),
  log_bodies: texts().prefault([]).describe('Logs: bodies as text, one of which must match.'),
  log_severity_texts: texts().prefault([]).describe('Logs: severity texts, one of which must match.'),
  log_severity_number: severity.optional().describe('Logs: the severity number from which on records match.'),
  metric_names: texts().prefault([]).describe('Metrics: names of metrics, one of which must match.'),
  attributes: z
    .array(attribute)
    .default([])
    .describe('Traces and logs: attributes of the item, all of which must match.'),
  resources: z.array(attribute).default([]).describe('Attributes of the resource, all of which must match.'),
  libraries: z.array(library).default([]).describe('Traces and logs: instrumentation scopes, all of which must match.'),
})

/** One of `include` and `exclude`, checked. */
export type MatchProperties = z.output<typeof properties>

/** The properties by the signals they are for; `resources` are for all. */
const signalsOf = {
  services: ['traces'],
  span_names: ['traces'],
  span_kinds: ['traces'],
  log_bodies: ['logs'],
  log_severity_texts: ['logs'],
  log_severity_number: ['logs'],
  metric_names: ['metrics'],
  attributes: ['traces', 'logs'],
  libraries: ['traces', 'logs'],
  resources: ['traces', 'logs', 'metrics'],
} as const satisfies Partial<Record<keyof MatchProperties, readonly Signal[]>>

const lists = [
  'services',
  'span_names',
  'span_kinds',
  'log_bodies',
  'log_severity_texts',
  'metric_names',
] as const satisfies readonly (keyof MatchProperties)[]

/** The properties that are used, with the signals they are for. */
function used(written: MatchProperties): [name: string, signals: readonly Signal[]][] {
  return Object.entries(signalsOf).filter(([name]) => {
    const property = written[name as keyof typeof signalsOf]
    return Array.isArray(property) ? property.length > 0 : property !== undefined
  })
}

/** The schema of `include` and of `exclude`. */
export const matchProperties = properties.superRefine((written, check) => {
  const problem = (message: string, ...path: (string | number)[]): void => {
    check.addIssue({ code: 'custom', message, path })
  }
  if (used(written).length === 0) problem(`one of ${Object.keys(signalsOf).map(quoted).join(', ')} must be given`)
  if (written.match_type === 'strict') {
    const kinds: readonly string[] = Object.keys(enums.SpanKind)
    written.span_kinds.forEach((kind, i) => {
      if (!kinds.includes(kind)) problem(`\`${kind}\` is no kind; the kinds are ${kinds.join(', ')}`, 'span_kinds', i)
    })
    return
  }
  const pattern = (source: Writable, ...path: (string | number)[]): void => {
    if (source === undefined || source === null) return
    if (typeof source !== 'string') return problem('with `match_type: regexp` a value is a pattern, in quotes', ...path)
    const compiled = checkedPattern(source)
    if ('problem' in compiled) problem(compiled.problem, ...path)
  }
  for (const name of lists) written[name].forEach((source, i) => pattern(source, name, i))
  for (const name of ['attributes', 'resources'] as const) {
    written[name].forEach(({ value: source }, i) => pattern(source, name, i, 'value'))
  }
  written.libraries.forEach(({ name, version }, i) => {
    pattern(name, 'libraries', i, 'name')
    pattern(version, 'libraries', i, 'version')
  })
})

const quoted = (name: string): string => `\`${name}\``

/** What the properties under `key` ask that cannot be asked of a signal. */
export function unfit(written: MatchProperties | undefined, key: string, signal: Signal): Unfit[] {
  if (written === undefined) return []
  const wrong = used(written).filter(([, signals]) => !signals.includes(signal))
  const hint = `use a processor of its own for ${signal}`
  return wrong.map(([name, signals]) => ({
    path: [key, name],
    problem: `it is for ${signals.join(' and ')}, and cannot be asked of ${signal}`,
    hint,
  }))
}
