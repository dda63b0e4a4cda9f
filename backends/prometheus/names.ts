/**
 * Names of metrics and labels as Prometheus has them, from those of OpenTelemetry: the rules of the specification's
 * "Prometheus and OpenMetrics Compatibility" page, as Prometheus and the Collector apply them.
 */

/** The ways to translate names, by the names that Prometheus and the Collector give them. */
export const translationStrategies = [
  'UnderscoreEscapingWithSuffixes',
  'UnderscoreEscapingWithoutSuffixes',
  'NoUTF8EscapingWithSuffixes',
  'NoTranslation',
] as const

/** Whether names are escaped to letters, digits and underscores, and whether unit and type are added to them. */
export type TranslationStrategy = (typeof translationStrategies)[number]

/** What a metric is, as far as its name depends on it. A sum is a counter when it only grows. */
export type MetricKind =
  | 'gauge'
  | 'counter'
  | 'up_down_counter'
  | 'histogram'
  | 'exponential_histogram'
  | 'summary'
  | 'unknown'

const unitWords: ReadonlyMap<string, string> = new Map([
  ['d', 'days'],
  ['h', 'hours'],
  ['min', 'minutes'],
  ['s', 'seconds'],
  ['ms', 'milliseconds'],
  ['us', 'microseconds'],
  ['ns', 'nanoseconds'],
  ['By', 'bytes'],
  ['KiBy', 'kibibytes'],
  ['MiBy', 'mebibytes'],
  ['GiBy', 'gibibytes'],
  // Not tebibytes: this is the word that all released translators use, and series are queried by.
  ['TiBy', 'tibibytes'],
  ['KBy', 'kilobytes'],
  ['MBy', 'megabytes'],
  ['GBy', 'gigabytes'],
  ['TBy', 'terabytes'],
  ['m', 'meters'],
  ['V', 'volts'],
  ['A', 'amperes'],
  ['J', 'joules'],
  ['W', 'watts'],
  ['g', 'grams'],
  ['Cel', 'celsius'],
  ['Hz', 'hertz'],
  ['%', 'percent'],
  ['1', ''],
])

const rateWords: ReadonlyMap<string, string> = new Map([
  ['s', 'second'],
  ['m', 'minute'],
  ['h', 'hour'],
  ['d', 'day'],
  ['w', 'week'],
  ['mo', 'month'],
  ['y', 'year'],
])

/** Whether names are cut down to letters, digits and underscores. */
export const escapesNames = (strategy: TranslationStrategy): boolean => strategy.startsWith('Underscore')

const addsSuffixes = (strategy: TranslationStrategy): boolean => strategy.endsWith('WithSuffixes')

/**
 * The name of a metric's family, with `_total` where that belongs to it. '' where nothing of the name can be kept: such
 * a metric has no name in Prometheus.
 */
export function metricName(
  name: string,
  unit: string,
  kind: MetricKind,
  strategy: TranslationStrategy,
  namespace = '',
): string {
  if (name === '') return ''
  const suffixes = addsSuffixes(strategy)
  if (!escapesNames(strategy)) {
    const full = namespace === '' ? name : `${namespace}_${name}`
    return suffixes ? withSuffixes(full, unit, kind) : full
  }
  const escaped = suffixes
    ? escapedWithSuffixes(name, unit, kind)
    : name
        .split(/[^a-zA-Z0-9:_]+/)
        .filter(Boolean)
        .join('_')
  if (!/[^_]/.test(escaped) && escaped !== name) return ''
  const prefix = namespace
    .split(/[^a-zA-Z0-9:_]+/)
    .filter(Boolean)
    .join('_')
  const full = prefix === '' ? escaped : `${prefix}_${escaped}`
  return /^\d/.test(full) ? `_${full}` : full
}

/** The words of the name, then unit, then what its kind adds; what already stands among the words is not repeated. */
function escapedWithSuffixes(name: string, unit: string, kind: MetricKind): string {
  const words = name.split(/[^a-zA-Z0-9:]+/).filter(Boolean)
  const { main, rate } = unitParts(unit)
  for (const word of [escapedUnit(main), escapedRate(rate)]) if (word !== '' && !words.includes(word)) words.push(word)
  const last = kindSuffix(unit, kind)
  return (last === '' ? words : [...words.filter(word => word !== last), last]).join('_')
}

/** The same without escaping; what the name already ends in is not repeated, and goes to its place in the order. */
function withSuffixes(name: string, unit: string, kind: MetricKind): string {
  const { main, rate } = unitParts(unit)
  const last = kindSuffix(unit, kind)
  const rest = withoutSuffix(withoutSuffix(name, last), rate)
  return [rest, rest.endsWith(main) ? '' : main, rate, last].filter(Boolean).join('_')
}

function withoutSuffix(name: string, suffix: string): string {
  if (suffix === '') return name
  const at = name.length - suffix.length - 1
  // Only a whole word is a suffix: `subtotal` does not end in `total`.
  return at > 0 && name.endsWith(suffix) && /[^\p{L}\p{N}]/u.test(name[at]) ? name.slice(0, at) : name
}

function kindSuffix(unit: string, kind: MetricKind): string {
  if (kind === 'counter') return 'total'
  return kind === 'gauge' && unit === '1' ? 'ratio' : ''
}

/** The words for a unit and for what it is per: `By/s` is bytes, per_second. What stands in braces is only a remark. */
function unitParts(unit: string): { main: string; rate: string } {
  const slash = unit.indexOf('/')
  const word = (part: string, words: ReadonlyMap<string, string>): string => {
    const trimmed = part.trim()
    return /[{}]/.test(trimmed) ? '' : (words.get(trimmed) ?? trimmed)
  }
  const main = word(slash < 0 ? unit : unit.slice(0, slash), unitWords)
  const rate = slash < 0 ? '' : word(unit.slice(slash + 1), rateWords)
  return { main, rate: rate === '' ? '' : `per_${rate}` }
}

const escapedUnit = (unit: string): string =>
  unit
    .split(/[^a-zA-Z0-9:]+/)
    .filter(Boolean)
    .join('_')

/** Per nothing is no rate. */
function escapedRate(rate: string): string {
  const escaped = escapedUnit(rate)
  return escaped === 'per' ? '' : escaped
}

/** The unit as metadata says it: `bytes_per_second`. '' for none, and for a number of things. */
export function unitName(unit: string, strategy: TranslationStrategy): string {
  const { main, rate } = unitParts(unit)
  const parts = escapesNames(strategy) ? [escapedUnit(main), escapedRate(rate)] : [main, rate]
  return parts.filter(Boolean).join('_').replace(/^_|_$/g, '')
}

/** The name of the label that an attribute becomes. '' where nothing of the key can be kept. */
export function labelName(key: string, strategy: TranslationStrategy): string {
  if (!escapesNames(strategy)) return /[^_]/.test(key) ? key : ''
  const reserved = /^__(.*)__$/s.exec(key)
  const escaped = (reserved?.[1] ?? key).replace(/[^a-zA-Z0-9]+/g, '_')
  if (reserved !== null) return /[^_]/.test(escaped) ? `__${escaped}__` : ''
  if (/^\d/.test(escaped)) return `key_${escaped}`
  return escaped.startsWith('_') ? `key${escaped}` : escaped
}
