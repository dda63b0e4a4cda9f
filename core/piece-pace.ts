/** How large the pieces of a large request are: by how long the last one took those that it was handed to. */
import { pieceLimits, type PieceSize } from '../proto/gathering.ts'

/** Items of the first piece: nobody knows yet what is done to each. */
const first = 512
const least = 128
/** Milliseconds that a piece may take before the next is smaller, and less than which the next is larger. */
const long = 10
const short = 3

/** Of one request. */
export class PiecePace implements PieceSize {
  items = first

  /** The last piece took so many milliseconds. */
  took(time: number): void {
    if (time > long) this.items = Math.max(least, this.items >> 1)
    else if (time < short) this.items = Math.min(pieceLimits.items, this.items * 2)
  }
}
