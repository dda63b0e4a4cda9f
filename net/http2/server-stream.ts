/** One stream as its server has it: where it stands. What it is about is a subclass's. */
import type { StreamMessage } from './message.ts'
import type { OutStream } from './outflow.ts'
import type { RequestHead } from './request-head.ts'

/** A stream, which is a request and its answer. */
export abstract class ServerStream implements OutStream {
  readonly id: number
  readonly head: RequestHead
  /** Whether nothing of it is left to do. */
  isClosed = false
  /** Whether all of the request came, and all of the answer is written. */
  isWhole = false
  isAnswered = false
  /** Bytes of the request that came. */
  arrived = 0
  /** Bytes that the client may still send before it is told that there is room. */
  window: number
  credit = 0
  message: StreamMessage | undefined
  isHeadSent = false
  sent = 0

  constructor(id: number, head: RequestHead, window: number) {
    this.id = id
    this.head = head
    this.window = window
  }

  /** The stream is open: it can be answered. */
  abstract opened(): void

  /** A part of the request's body: what stands in `bytes` at `from` to `to`, until this returns. */
  abstract received(bytes: Buffer, from: number, to: number): void

  /** All of the request came. */
  abstract completed(): void

  /** The stream is gone, answered or not. Told once. */
  abstract closed(): void
}
