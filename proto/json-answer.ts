/**
 * What OTLP servers answer, in JSON: the response to a request that was taken, and google.rpc.Status for one that was
 * not. As in response.ts and status.ts, which are the same in protobuf.
 */
import type { PartialSuccess } from './response.ts'
import { messageNamed } from './schema.ts'
import { allSignals, type Signal, signals } from './signals.ts'
import type { RpcStatus } from './status.ts'
import { WireError } from './wire.ts'

const retryInfo = 'google.rpc.RetryInfo'

/** The text of a response: `{}` when nothing was rejected and there is nothing to say. */
export function encodeResponseJson(signal: Signal, rejected: number, message: string): Buffer {
  if (rejected === 0 && message === '') return Buffer.from('{}')
  const partialSuccess: Record<string, string> = {}
  if (rejected !== 0) partialSuccess[rejectedKey(signal)] = String(rejected)
  if (message !== '') partialSuccess['errorMessage'] = message
  return Buffer.from(JSON.stringify({ partialSuccess }))
}

/**
 * Reads a response to whichever signal; undefined when it has no partialSuccess, which is full success. An empty body
 * is that too.
 * @throws WireError where the text is no JSON object
 */
export function decodeResponseJson(text: Buffer): PartialSuccess | undefined {
  if (text.length === 0) return undefined
  const response = parseObject(text)
  if (response === undefined) throw new WireError('the response is no JSON object')
  const partial = asObject(response['partialSuccess'] ?? response['partial_success'])
  if (partial === undefined) return undefined
  const rejected = rejectedKeys.map(key => wholeNumber(partial[key])).find(n => n !== undefined)
  return { rejected: rejected ?? 0, message: asText(partial['errorMessage'] ?? partial['error_message']) }
}

/** The text of a Status; a `retryDelay` becomes a RetryInfo detail. */
export function encodeStatusJson({ code, message, retryDelay }: RpcStatus): Buffer {
  const details = retryDelay === undefined ? undefined : [retryDetail(retryDelay)]
  return Buffer.from(JSON.stringify({ code, message, details }))
}

/** Reads a Status; undefined where the text is none. Details other than RetryInfo are passed over. */
export function decodeStatusJson(text: Buffer): RpcStatus | undefined {
  const status = parseObject(text)
  const code = wholeNumber(status?.['code'] ?? 0)
  if (status === undefined || code === undefined) return undefined
  const message = asText(status['message'])
  const details: readonly unknown[] = Array.isArray(status['details']) ? status['details'] : []
  const delays = details.map(readDelay).filter(delay => delay !== undefined)
  const retryDelay = delays.at(-1)
  return retryDelay === undefined ? { code, message } : { code, message, retryDelay }
}

function rejectedKey(signal: Signal): string {
  const partial = messageNamed(signals[signal].response).fields[0].of
  return messageNamed(partial).byName.get(signals[signal].rejectedField)?.jsonName ?? ''
}

/** The counters of all signals, in both spellings. */
const rejectedKeys = allSignals.flatMap(signal => [rejectedKey(signal), signals[signal].rejectedField])

/** A delay in milliseconds as protobuf's JSON writes a Duration: `1.500s`. */
function retryDetail(delay: number): Record<string, string> {
  const nanos = Math.max(0, Math.round(delay * 1e6))
  const fraction = String(nanos % 1e9).padStart(9, '0')
  const digits = fraction.replace(/(?:000){1,3}$/, '')
  const retryDelay = `${Math.floor(nanos / 1e9)}${digits === '' ? '' : `.${digits}`}s`
  return { '@type': `type.googleapis.com/${retryInfo}`, retryDelay }
}

/** The delay of a detail in milliseconds, if it is a RetryInfo. */
function readDelay(detail: unknown): number | undefined {
  const any = asObject(detail)
  const type = asText(any?.['@type'])
  if (any === undefined || type.slice(type.lastIndexOf('/') + 1) !== retryInfo) return undefined
  const found = /^(-?)(\d+(?:\.\d{1,9})?)s$/.exec(asText(any['retryDelay'] ?? any['retry_delay']))
  return found === null || found[1] === '-' ? 0 : Number(found[2]) * 1000
}

/** The object that the text is, if it is one. */
function parseObject(text: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    return asObject(JSON.parse(text.toString()))
  } catch {
    return undefined
  }
}

const asObject = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined

const asText = (value: unknown): string => (typeof value === 'string' ? value : '')

/** A whole number, written as one or as a string. */
function wholeNumber(value: unknown): number | undefined {
  const n = typeof value === 'string' && value !== '' ? Number(value) : value
  return Number.isInteger(n) ? (n as number) : undefined
}
