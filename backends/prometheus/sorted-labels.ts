/** The labels of one point while they are sorted by name: the same few arrays for all points. */
import type { Range } from '../../proto/values.ts'
import { compareNames } from './label-base.ts'

const none = new Uint8Array(0)

/** Up to so many labels: of each the number of its key, and where its value stands. */
export class SortedLabels {
  readonly keys: Int32Array
  readonly starts: Int32Array
  readonly ends: Int32Array
  readonly sources: Uint8Array[]

  /** `most`: how many labels there may be. */
  constructor(most: number) {
    this.keys = new Int32Array(most)
    this.starts = new Int32Array(most)
    this.ends = new Int32Array(most)
    this.sources = Array.from({ length: most }, () => none)
  }

  /** Puts the value of the next label at place `at`, behind all others. */
  put(at: number, { bytes, start, end }: Range): void {
    this.sources[at] = bytes
    this.starts[at] = start
    this.ends[at] = end
  }

  /** Sorts the label at `count`, whose key is given, in among those before it; false where there is one of that name. */
  insert(count: number, key: number, names: readonly string[]): boolean {
    const { keys, starts, ends, sources } = this
    const name = names[key]
    const start = starts[count]
    const end = ends[count]
    const source = sources[count]
    let at = count
    for (; at > 0; at--) {
      const other = names[keys[at - 1]]
      if (other === name) return false
      if (compareNames(other, name) < 0) break
      keys[at] = keys[at - 1]
      starts[at] = starts[at - 1]
      ends[at] = ends[at - 1]
      sources[at] = sources[at - 1]
    }
    keys[at] = key
    starts[at] = start
    ends[at] = end
    sources[at] = source
    return true
  }
}
