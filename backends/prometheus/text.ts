/**
 * The words of Prometheus' text formats: numbers, names, label values, help. What is common to text 0.0.4, text 1.0.0 and
 * OpenMetrics 1.0.
 */
import type { Pair } from './label-base.ts'

/** How names that older readers do not know are written, in the words of content negotiation. */
export type Escaping = 'allow-utf-8' | 'underscores' | 'dots' | 'values'

/** All ways to escape. */
export const escapings: readonly Escaping[] = ['allow-utf-8', 'underscores', 'dots', 'values']

/** Whether every reader takes it as the name of a metric. */
export const isPlainMetricName = (name: string): boolean => /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)

/** Whether every reader takes it as the name of a label. */
export const isPlainLabelName = (name: string): boolean => /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)

/** The name of a metric as it is written with `escaping`. */
export function escapedMetricName(name: string, escaping: Escaping): string {
  return isPlainMetricName(name) ? name : escaped(name, escaping, /[a-zA-Z0-9_:]/)
}

/** The name of a label as it is written with `escaping`. */
export function escapedLabelName(name: string, escaping: Escaping): string {
  return isPlainLabelName(name) ? name : escaped(name, escaping, /[a-zA-Z0-9_]/)
}

function escaped(name: string, escaping: Escaping, plain: RegExp): string {
  if (escaping === 'allow-utf-8' || name === '') return name
  let out = escaping === 'values' ? 'U__' : ''
  let isFirst = true
  for (const character of name) {
    const isPlain = plain.test(character) && !(isFirst && /\d/.test(character))
    if (escaping === 'underscores') out += isPlain ? character : '_'
    else if (character === '_') out += '__'
    else if (isPlain) out += character
    else if (escaping === 'dots') out += character === '.' ? '_dot_' : '__'
    else out += `_${(character.codePointAt(0) ?? 0).toString(16)}_`
    isFirst = false
  }
  return out
}

/** A number as all formats have it: read back, it is the same double. */
export function numberText(value: number): string {
  if (Number.isFinite(value)) return value === 0 && Object.is(value, -0) ? '-0' : String(value)
  return value > 0 ? '+Inf' : value < 0 ? '-Inf' : 'NaN'
}

/** The bound of a bucket or a quantile, as a label's value; in OpenMetrics it always has a point or an exponent. */
export function boundText(value: number, openMetrics: boolean): string {
  const text = numberText(value)
  return openMetrics && /^-?\d+$/.test(text) ? `${text}.0` : text
}

/** A text between quotes: the value of a label, a name that has to be quoted. */
export function quotedText(text: string): string {
  return /[\\\n"]/.test(text) ? text.replace(/[\\\n"]/g, character => quotes[character] ?? character) : text
}

const quotes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '"': '\\"' }

/** A text at the end of a line. */
export function helpText(text: string, openMetrics: boolean): string {
  return openMetrics ? quotedText(text) : text.replace(/[\\\n]/g, character => quotes[character] ?? character)
}

/**
 * Labels as they stand between braces, in the order given. Where escaping makes two names one, their values are joined: a
 * series with a label twice would cost the reader the whole page.
 */
export function labelText(pairs: readonly Pair[], escaping: Escaping): string {
  if (pairs.every(([name]) => isPlainLabelName(name))) {
    return pairs.map(([name, value]) => `${name}="${quotedText(value)}"`).join(',')
  }
  const labels = new Map<string, string>()
  for (const [name, value] of pairs) {
    const written = escapedLabelName(name, escaping)
    const before = labels.get(written)
    labels.set(written, before === undefined ? value : `${before};${value}`)
  }
  return [...labels]
    .map(([name, value]) => `${isPlainLabelName(name) ? name : `"${quotedText(name)}"`}="${quotedText(value)}"`)
    .join(',')
}
