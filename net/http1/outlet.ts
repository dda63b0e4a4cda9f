/** The way out of a connection: the answers of a turn are one write, and who is answered hears when the system has taken it. */
import type { Socket } from 'node:net'

/** Whoever has answered. */
export interface Answered {
  /** The system has taken the answer. */
  taken(): void
}

/** See above. */
export class SocketOutlet {
  readonly #socket: Socket
  readonly #onClear: () => void
  /** What is to be written; each letter stands for one byte. */
  #out = ''
  /** Whose answers the system has not taken yet. */
  readonly #answered: Answered[] = []
  /** When something was first seen to wait for the sender. */
  #since = 0

  /** `onClear`: nothing waits for the sender any more. */
  constructor(socket: Socket, onClear: () => void) {
    this.#socket = socket
    this.#onClear = onClear
  }

  /** Whether nothing waits for the sender to take it. */
  get isClear(): boolean {
    return this.#socket.writableLength === 0
  }

  /** Adds to what is to be written, an answer of `from`. */
  add(text: string, from: Answered | undefined): void {
    this.#out += text
    if (from !== undefined) this.#answered.push(from)
  }

  /** Writes all of it. */
  flush(): void {
    if (this.#out !== '') {
      if (!this.#socket.destroyed) this.#socket.write(this.#out, 'latin1', this.#written)
      this.#out = ''
    }
    if (this.isClear) this.#take()
  }

  readonly #written = (): void => {
    if (!this.isClear) return
    this.#take()
    this.#onClear()
  }

  #take(): void {
    if (this.#answered.length === 0) return
    for (const from of this.#answered) from.taken()
    this.#answered.length = 0
  }

  /** Whether something has waited for `patience` milliseconds. */
  isStuck(now: number, patience: number): boolean {
    if (this.isClear) this.#since = 0
    else if (this.#since === 0) this.#since = now
    else return now - this.#since >= patience
    return false
  }

  /** The connection is gone. */
  close(): void {
    this.#out = ''
    this.#answered.length = 0
  }
}
