/** The keys by which exporters to Prometheus are told how to name things, and what they mean. */
import * as z from 'zod'
import { texts } from '../core/fields.ts'
import { identifying } from '../backends/prometheus/label-base.ts'
import { wildcardPattern } from '../proto/pattern.ts'
import { type TranslationStrategy, translationStrategies } from '../backends/prometheus/names.ts'

/** The Collector's keys for names and for the attributes of resources. */
export const namingKeys = () => ({
  namespace: z.string().default('').describe('Stands in front of the name of each metric, with an underscore.'),
  translation_strategy: z
    .enum(['', ...translationStrategies])
    .default('')
    .describe(
      'Whether names are escaped to letters, digits and underscores, and whether unit and type are added to them; ' +
        'UnderscoreEscapingWithSuffixes when neither this nor `add_metric_suffixes` says otherwise.',
    ),
  add_metric_suffixes: z
    .boolean()
    .default(true)
    .describe('Off: neither unit nor type is added to names. Without effect beside `translation_strategy`.'),
  resource_to_telemetry_conversion: z
    .strictObject({
      enabled: z.boolean().default(false).describe('Make all attributes of the resource labels of its series.'),
      exclude_service_attributes: z
        .boolean()
        .default(false)
        .describe('But not those that are in `job` and `instance` already.'),
    })
    .prefault({})
    .describe('Attributes of the resource as labels; `resource_constant_labels` goes before it.'),
  resource_constant_labels: z
    .strictObject({
      included: texts()
        .default([])
        .describe('Keys that become labels; `*` stands for any text. Empty: all but those excluded.'),
      excluded: texts().default([]).describe('Keys that do not, even if included.'),
    })
    .nullish()
    .describe('Which attributes of the resource become labels of its series.'),
})

type NamingConfig = z.output<z.ZodObject<ReturnType<typeof namingKeys>>>

/** How names are translated. */
export function strategyOf(
  config: Pick<NamingConfig, 'translation_strategy' | 'add_metric_suffixes'>,
): TranslationStrategy {
  if (config.translation_strategy !== '') return config.translation_strategy
  return config.add_metric_suffixes ? 'UnderscoreEscapingWithSuffixes' : 'UnderscoreEscapingWithoutSuffixes'
}

/** Which attributes of a resource become labels. */
export function promotionOf(
  config: Pick<NamingConfig, 'resource_constant_labels' | 'resource_to_telemetry_conversion'>,
): (key: string) => boolean {
  const { included, excluded } = config.resource_constant_labels ?? { included: [], excluded: [] }
  if (included.length > 0 || excluded.length > 0) {
    const isIn = matcher(included)
    const isOut = matcher(excluded)
    return key => (included.length === 0 || isIn(key)) && !isOut(key)
  }
  const { enabled, exclude_service_attributes: withoutService } = config.resource_to_telemetry_conversion
  return key => enabled && !(withoutService && identifying.has(key))
}

function matcher(patterns: readonly string[]): (key: string) => boolean {
  const compiled = patterns.map(pattern => wildcardPattern(pattern, wildcards, 's'))
  return key => compiled.some(pattern => pattern.matches(key))
}

const wildcards: Readonly<Record<string, string>> = { '*': '.*', '?': '.' }
