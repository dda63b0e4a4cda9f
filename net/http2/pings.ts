/** Pings that we send, and who is told that they are answered. */
import type { FrameWriter } from './frame-writer.ts'
import { Frame } from './protocol.ts'

const payload = Buffer.alloc(8)

/** Those of one connection. */
export class Pings {
  readonly #writer: FrameWriter
  /** In order: so are their answers. */
  readonly #waiting: (() => void)[] = []

  constructor(writer: FrameWriter) {
    this.#writer = writer
  }

  /** Asks whether the other side is there; `onPong` is called when it says so. */
  send(onPong: () => void): void {
    this.#waiting.push(onPong)
    this.#writer.frame(Frame.PING, 0, 0, payload)
  }

  /** The other side has answered one, or says so. */
  answered(): void {
    this.#waiting.shift()?.()
  }
}
