/** A buffer that grows while it is written to. */
import { WireError } from './wire.ts'

/** Where large buffers come from and go back to, such as a pool. */
export interface Memory {
  /** A buffer of exactly `size` bytes, with whatever was in it before. */
  take(size: number): Buffer
  /** Takes back a buffer that nobody reads any more. */
  give(buffer: Buffer): void
}

/** Bytes that are written front to back, up to `at`. */
export class Growing {
  bytes: Buffer
  view: DataView
  at = 0
  readonly #memory: Memory | undefined
  readonly #most: number

  /** Starts with room for `size` bytes, which may grow to `most`; without `memory` from the system. */
  constructor(size: number, memory: Memory | undefined, most = Infinity) {
    this.#memory = memory
    this.#most = most
    this.bytes = memory === undefined ? Buffer.allocUnsafeSlow(size) : memory.take(size)
    this.view = viewOf(this.bytes)
  }

  /** Makes sure that `size` bytes can be written. */
  ensure(size: number): void {
    if (this.bytes.length - this.at < size) this.#grow(size)
  }

  #grow(size: number): void {
    const wanted = Math.max(this.bytes.length * 2, this.at + size)
    if (wanted > this.#most) throw new WireError(`the request takes more than ${this.#most} bytes as protobuf`)
    const larger = this.#memory === undefined ? Buffer.allocUnsafeSlow(wanted) : this.#memory.take(wanted)
    this.bytes.copy(larger, 0, 0, this.at)
    this.#memory?.give(this.bytes)
    this.bytes = larger
    this.view = viewOf(larger)
  }

  /** What was written, in a buffer of its own. Nothing more can be written. */
  done(): Buffer {
    const { bytes, at } = this
    if (this.#memory === undefined && bytes.buffer instanceof ArrayBuffer) {
      // What was too much goes back to the system from where it is, which costs less than a copy.
      return Buffer.from(bytes.buffer.transferToFixedLength(at))
    }
    const exact = this.#memory === undefined ? Buffer.allocUnsafeSlow(at) : this.#memory.take(at)
    bytes.copy(exact, 0, 0, at)
    this.abandon()
    return exact
  }

  /** Gives the memory back; what was written is not wanted. */
  abandon(): void {
    this.#memory?.give(this.bytes)
  }
}

const viewOf = ({ buffer, byteOffset, length }: Buffer): DataView => new DataView(buffer, byteOffset, length)
