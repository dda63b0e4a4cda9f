/** Headers that come in several frames, until they are whole: bounded in bytes and frames, and charged. */
import type { Budget } from '../../core/budget.ts'
import { ConnectionError, ErrorCode } from './protocol.ts'

/** Most frames of one block; two is what it takes for the most bytes. */
const framesMost = 16

/** The one block that a connection may have open. */
export class HeaderBlock {
  isOpen = false
  stream = 0
  flags = 0
  /** Whether the stream says that it depends on itself. */
  isAbsurd = false
  readonly #budget: Budget | undefined
  readonly #most: number
  #parts: Buffer[] = []
  #size = 0

  /** `most`: bytes of a block. Without a budget that is the only bound. */
  constructor(budget: Budget | undefined, most: number) {
    this.#budget = budget
    this.#most = most
  }

  /** The headers of `stream` begin. */
  open(stream: number, flags: number, isAbsurd: boolean): void {
    this.isOpen = true
    this.stream = stream
    this.flags = flags
    this.isAbsurd = isAbsurd
  }

  /** Keeps a copy of the part at `from` to `to`. */
  add(bytes: Buffer, from: number, to: number): void {
    const size = to - from
    if (this.#size + size > this.#most || this.#parts.length === framesMost) throw tooMuch()
    if (this.#budget?.tryCharge(size) === false) throw tooMuch()
    this.#size += size
    this.#parts.push(Buffer.from(bytes.subarray(from, to)))
  }

  /** The block is whole: returns it, and is ready for the next. */
  close(): Buffer {
    const whole = Buffer.concat(this.#parts)
    this.isOpen = false
    this.#parts = []
    this.#budget?.release(this.#size)
    this.#size = 0
    return whole
  }
}

const tooMuch = (): ConnectionError => new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, 'too many headers')
