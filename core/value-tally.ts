/** Items that a rule ended, counted by the value of the resource attribute that it looked at: not only how many, but whose. */
import { attributeTags, findAttribute } from '../proto/attributes.ts'
import type { Group } from '../proto/group.ts'
import { noAttribute, notShown, shownValue } from '../proto/sample.ts'
import { Range } from '../proto/values.ts'

/** Values that are counted apart; what comes beyond them is counted as one. */
export const mostValues = 50
/** What stands for the values beyond. */
export const otherValues = '(other values)'

/** Counts of one reason at one node. They never go back, and the first values stay. */
export class ValueTally {
  /** The attribute. */
  readonly key: string
  readonly #key: Buffer
  readonly #counts = new Map<string, { readonly value: string; items: number }>()
  readonly #range = new Range()

  constructor(key: string) {
    this.key = key
    this.#key = Buffer.from(key)
  }

  /** Counts the items of these groups; without `values` the values may not be shown, and are counted as one. */
  add(groups: readonly Group[], values: boolean): void {
    for (const group of groups) this.#counterOf(values ? this.#valueOf(group) : notShown).items += group.items
  }

  /** Every value that was counted. */
  all(): Iterable<{ readonly value: string; readonly items: number }> {
    return this.#counts.values()
  }

  #counterOf(value: string): { items: number } {
    const known = this.#counts.get(value)
    if (known !== undefined) return known
    if (this.#counts.size >= mostValues && value !== otherValues) return this.#counterOf(otherValues)
    const made = { value, items: 0 }
    this.#counts.set(value, made)
    return made
  }

  #valueOf({ resource, resourceStart, resourceEnd }: Group): string {
    const range = this.#range
    try {
      const isThere = findAttribute(resource, resourceStart, resourceEnd, attributeTags.resource, this.#key, range)
      return (isThere && shownValue(range)) || noAttribute
    } catch {
      // What cannot be read has no value that anybody could go by.
      return noAttribute
    }
  }
}
