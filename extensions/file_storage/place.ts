import type { Stored } from '../../core/storage.ts'

/** A record of one owner, and where it stands: the place is a hint, since records move when sparse segments are merged. */
export interface Place extends Stored {
  readonly ordinal: number
  readonly segment: number
  /** Where the next record of the segment starts. */
  readonly next: number
}
