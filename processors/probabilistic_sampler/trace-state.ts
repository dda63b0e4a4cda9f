/** W3C `tracestate` with the section of OpenTelemetry in it: `ot=th:...;rv:...`. */
import { type Bits, parseRandomness, parseThreshold } from './threshold.ts'

/** What a `tracestate` says of sampling, and the rest of it. */
export interface TraceState {
  readonly threshold: Bits | undefined
  readonly randomness: Bits | undefined
  /** Other members of OpenTelemetry's section, as `key:value`. */
  readonly more: readonly string[]
  /** Members of other vendors, as `key=value`. */
  readonly others: readonly string[]
}

const maxLength = 1024
const maxMembers = 32
const maxSectionLength = 256
const member =
  /^(?:[a-z][a-z0-9\-*/_]{0,255}|[a-z0-9][a-z0-9\-*/_]{0,240}@[a-z][a-z0-9\-*/_]{0,13})=[ -+\--<>-~]{0,255}[!-+\--<>-~]$/
const entry = /^([a-z][a-z0-9]*):([a-zA-Z0-9._-]*)$/

/** Reads a `tracestate`; undefined when it is none, or what it says of sampling is wrong. */
export function parseTraceState(text: string): TraceState | undefined {
  if (text.length > maxLength) return undefined
  const others: string[] = []
  let section: string | undefined
  const parts = text.split(',')
  if (parts.length >= maxMembers) return undefined
  for (const part of parts) {
    const one = part.replace(/^[ \t]+|[ \t]+$/g, '')
    if (one === '') continue
    if (!member.test(one)) return undefined
    if (one.startsWith('ot=')) section = one.slice(3)
    else others.push(one)
  }
  const more: string[] = []
  let threshold: Bits | undefined
  let randomness: Bits | undefined
  if (section === undefined) return { threshold, randomness, more, others }
  if (section.length > maxSectionLength) return undefined
  for (const part of section.split(';')) {
    const [, key, value = ''] = entry.exec(part) ?? []
    if (key === undefined) return undefined
    if (key === 'th') {
      threshold = parseThreshold(value)
      if (threshold === undefined) return undefined
    } else if (key === 'rv') {
      randomness = parseRandomness(value)
      if (randomness === undefined) return undefined
    } else more.push(part)
  }
  return { threshold, randomness, more, others }
}

/** A `tracestate` with these texts for randomness and threshold ('' for none), and the rest of `state`. */
export function formatTraceState(state: TraceState, randomness: string, threshold: string): string {
  const section = [
    ...(randomness === '' ? [] : [`rv:${randomness}`]),
    ...(threshold === '' ? [] : [`th:${threshold}`]),
    ...state.more,
  ]
  return [...(section.length === 0 ? [] : [`ot=${section.join(';')}`]), ...state.others].join(',')
}
