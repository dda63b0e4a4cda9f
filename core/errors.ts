/**
 * Every failure of Kymo has one of these codes. The text beside a code says what to do; docs/errors.md is made from
 * this table.
 */

/** Error codes, each with one line on what to do about it. */
export const codes = {
  CONFIG_SYNTAX: 'Mend the YAML at the place named.',
  CONFIG_SOURCE: 'Check that the file, variable or scheme named exists and can be read.',
  CONFIG_UNKNOWN_KEY: 'Remove the key, or use the suggested one.',
  CONFIG_UNKNOWN_COMPONENT: 'Use one of the components this build has.',
  CONFIG_INVALID_VALUE: 'Give a value of the kind the message names.',
  CONFIG_REFERENCE: 'Configure the component that is referenced, or remove the reference.',
  CONFIG_ID: 'Write the id as `type` or `type/name`.',
  CONFIG_PIPELINE: 'A pipeline needs a receiver and an exporter, and each processor once.',
  WIRE_MALFORMED: 'The sender must send valid OTLP; the message says where the bytes stop being it.',
  WIRE_TOO_LARGE: 'Send smaller requests, or raise the limit of the receiver.',
  WIRE_ENCODING: 'Use a content type and compression that the receiver accepts.',
  DELIVERY_QUEUE_FULL: 'The destination is slower than the senders: look at its status, or enlarge sending_queue.',
  DELIVERY_STORAGE:
    'The storage of the queue takes nothing: look at the disk, its room and the status of the extension.',
  DELIVERY_MEMORY: 'The memory budget is used up: senders retry by themselves; raise the limit if it lasts.',
  DELIVERY_STOPPING: 'The process is stopping; senders retry by themselves.',
  DELIVERY_STEP_FAILED: 'A processor failed on this data; its log line says how.',
  DELIVERY_WITHDRAWN: 'The sender gave up waiting; it will send again.',
  DELIVERY_UNREACHABLE: 'The destination cannot be reached; it is tried again until it can.',
  DELIVERY_TIMEOUT: 'The destination did not answer in time; see `timeout` of the exporter.',
  DELIVERY_BUSY: 'The destination asked to come again later.',
  DELIVERY_REJECTED: 'The destination refused this data for good; its message says why.',
  DELIVERY_TOO_LARGE: 'The destination takes no message of this size; the batch is split.',
  DELIVERY_DENIED: 'The destination refuses the request itself (credentials, path): check the exporter.',
  DELIVERY_EXPIRED: 'The destination was away for longer than max_elapsed_time.',
  DELIVERY_SUSPECT: 'The destination failed on this data again and again while it took other data.',
  INTERNAL: 'This is a fault of Kymo; please report it with the log.',
} as const

/** One of the codes above. */
export type Code = keyof typeof codes

/** Position in a configuration source; lines and columns count from 1. */
export interface Position {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** One thing wrong with a configuration: what, where, and the nearest right word. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly code: Code
  readonly position: Position | undefined
  /** The source line with a caret under the place, ready to print. */
  readonly snippet: string | undefined
  readonly hint: string | undefined

  constructor(
    code: Code,
    message: string,
    where: { position?: Position | undefined; snippet?: string | undefined; hint?: string | undefined } = {},
  ) {
    super(message)
    this.code = code
    this.position = where.position
    this.snippet = where.snippet
    this.hint = where.hint
  }
}

/** What a failed delivery means for the data it carried. */
export type FailureKind =
  /** Come again: nothing was taken, or it is not known whether it was. */
  | 'retry'
  /** This data will never be taken; other data may be. Worth bisecting. */
  | 'rejected'
  /** Too large as one message; smaller ones may be taken. */
  | 'too_large'
  /** Nothing sent like this will be taken (credentials, unknown path): it is not the data, so whoever has it still is to keep it. */
  | 'denied'

/** Why a destination, a queue or a step did not take data. */
export class DeliveryError extends Error {
  override name = 'DeliveryError'
  readonly code: Code
  readonly kind: FailureKind
  /** For `retry`: how long to wait at least, in milliseconds, as the destination asked. */
  readonly retryAfter: number | undefined
  /** Whether the data may have been taken although no success was heard. */
  readonly maybeTaken: boolean
  /** The destination has too much to do: `retryAfter` is for all that is sent there. */
  readonly isThrottled: boolean

  constructor(
    code: Code,
    kind: FailureKind,
    message: string,
    more: { retryAfter?: number | undefined; maybeTaken?: boolean; isThrottled?: boolean; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause })
    this.code = code
    this.kind = kind
    this.retryAfter = more.retryAfter
    this.maybeTaken = more.maybeTaken ?? false
    this.isThrottled = more.isThrottled ?? false
  }
}

/** A bug: something that cannot happen did. */
export class InternalError extends Error {
  override name = 'InternalError'
  readonly code = 'INTERNAL' satisfies Code
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
