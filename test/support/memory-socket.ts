/** Sockets without a system: what is pushed is read, and what is written is kept. */
import { Duplex } from 'node:stream'

/** See above. One that is `deaf` never takes what is written. */
export class MemorySocket extends Duplex {
  readonly written: Buffer[] = []
  readonly #isDeaf: boolean

  constructor({ deaf = false } = {}) {
    super(deaf ? { writableHighWaterMark: 1 } : {})
    this.#isDeaf = deaf
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#isDeaf) return
    // The room it stands in is used again.
    this.written.push(Buffer.from(chunk))
    done()
  }

  destroySoon(): void {
    this.destroy()
  }
}
