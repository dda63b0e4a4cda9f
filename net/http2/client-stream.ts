/** One stream as its client has it: where it stands. What it is about is a subclass's. */
import type { StreamMessage } from './message.ts'
import type { OutStream } from './outflow.ts'

/** A stream, which is a request and its answer. */
export abstract class ClientStream implements OutStream {
  /** Zero until it is opened. */
  id = 0
  /** Whether nothing of it is left to do. */
  isClosed = false
  /** Whether all of the request is written, and all of the answer came. */
  isWritten = false
  isWhole = false
  /** Whether the head of the answer came. */
  isAnswered = false
  /** Bytes that the server may still send. */
  window = 0
  /** The code by which one of both sides has ended it. */
  resetCode: number | undefined
  credit = 0
  message: StreamMessage | undefined
  isHeadSent = false
  sent = 0

  /** The head of the answer: name, value, name, value. `isLast`: there is no more of it. */
  abstract answered(raw: readonly string[], isLast: boolean): void

  /** A part of the answer's body: what stands in `bytes` at `from` to `to`, until this returns. */
  abstract received(bytes: Buffer, from: number, to: number): void

  /** The trailers of the answer, as its head. */
  abstract trailed(raw: readonly string[]): void

  /** The stream is gone, answered or not. Told once. */
  abstract closed(): void
}
