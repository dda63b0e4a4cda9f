/** With which probability a span was kept, as its trace state says (OpenTelemetry specification, "TraceState: Probability Sampling"). */
import { text } from '../../proto/values.ts'

/** The probability that a trace state tells; 0 where it tells none. */
export function sampledWith(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < 6 || !mentionsOpenTelemetry(bytes, start, end)) return 0
  for (const member of text(bytes, start, end).split(',')) {
    const [key, value] = member.trim().split('=', 2)
    if (key === 'ot' && value !== undefined) return probability(value)
  }
  return 0
}

function mentionsOpenTelemetry(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i + 2 < end; i++) {
    if (bytes[i] === 0x6f && bytes[i + 1] === 0x74 && bytes[i + 2] === 0x3d) return true
  }
  return false
}

/** `th` is what is rejected of 2^56, in hex without the zeros at its end; `p` is the older exponent of 1/2. */
function probability(value: string): number {
  let exponent: number | undefined
  for (const field of value.split(';')) {
    const [key, told] = field.split(':', 2)
    if (key === 'th' && /^[0-9a-f]{1,14}$/.test(told ?? '')) return 1 - Number.parseInt(told, 16) / 16 ** told.length
    if (key === 'p' && /^\d{1,2}$/.test(told ?? '')) exponent = Number(told)
  }
  return exponent === undefined || exponent > 62 ? 0 : 2 ** -exponent
}
