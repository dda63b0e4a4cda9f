/** What a connection keeps for its sender's sake, charged to the memory budget before it is made. */
import { type Admission, readAhead } from '../admission.ts'
import { maxHeaderBytes } from '../header-limits.ts'
import type { ConnectionShare } from '../occupancy.ts'

/** The first piece of memory for a head that comes in pieces. */
const firstPiece = 512
/** What waits while a connection is not read: what was read last, and what Node reads before it stops. */
const waiting = 2 * readAhead
const nothing = Buffer.alloc(0)

/** Of one connection: the head that has come in part, and what waits unread. */
export class Backlog {
  readonly #admission: Admission
  readonly #share: ConnectionShare
  #head = nothing
  #size = 0
  #waits = false

  constructor(admission: Admission, share: ConnectionShare) {
    this.#admission = admission
    this.#share = share
  }

  /** The head as far as it has come, in the first `size` bytes. */
  get head(): Buffer {
    return this.#head
  }

  get size(): number {
    return this.#size
  }

  /** Adds to the head, up to one byte more than a head may have. Returns how much was added; -1 when there is no room. */
  add(bytes: Buffer, at: number): number {
    const most = Math.min(bytes.length, at + maxHeaderBytes + 1 - this.#size)
    const needed = this.#size + most - at
    if (needed > this.#head.length) {
      const room = Math.max(firstPiece, Math.min(maxHeaderBytes + 1, Math.max(needed, 2 * this.#head.length)))
      if (!this.#charge(room - this.#head.length)) return -1
      const head = Buffer.allocUnsafeSlow(room)
      this.#head.copy(head, 0, 0, this.#size)
      this.#head = head
    }
    bytes.copy(this.#head, this.#size, at, most)
    this.#size = needed
    return most - at
  }

  /** The head is whole, or nobody wants it any more. */
  clear(): void {
    if (this.#head === nothing) return
    this.#release(this.#head.length)
    this.#head = nothing
    this.#size = 0
  }

  /** What has come waits from now on; false when there is no room for it. */
  wait(): boolean {
    this.#waits ||= this.#charge(waiting)
    return this.#waits
  }

  /** Nothing waits any more. */
  goOn(): void {
    if (!this.#waits) return
    this.#waits = false
    this.#release(waiting)
  }

  #charge(bytes: number): boolean {
    const { budget, connectionLimit, occupancy } = this.#admission
    const share = this.#share
    if (share.held + bytes > connectionLimit || !occupancy.hasMemory(share, bytes)) return false
    if (!budget.tryCharge(bytes)) return false
    share.held += bytes
    share.peer.held += bytes
    return true
  }

  #release(bytes: number): void {
    this.#share.held -= bytes
    this.#share.peer.held -= bytes
    this.#admission.budget.release(bytes)
  }

  /** The connection is gone. */
  close(): void {
    this.clear()
    this.goOn()
  }
}
