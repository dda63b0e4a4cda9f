/** Memory that a component keeps and that is no batch: series, caches, samples, keys it remembers. */
import type { Budget } from './budget.ts'
import type { Kind } from './component.ts'
import { elementAt } from './element-at.ts'

/** Whose an account is: a component, or a part of the process. */
export interface Keeper {
  readonly kind: Kind | 'service'
  readonly id: string
}

/**
 * The account of one keeper. What is to be kept is asked for before it is made: where there is no room the keeper lets
 * something else go, or does without and books a reason.
 */
export class Account {
  readonly keeper: Keeper
  readonly #budget: Budget | undefined
  #bytes = 0
  #refused = 0
  #isClosed = false

  /** An account that is open from its first use on; without a budget (a part that runs by itself) there is always room. */
  constructor(budget: Budget | undefined, kind: Keeper['kind'], id: string) {
    this.keeper = { kind, id }
    this.#budget = budget
  }

  /** Bytes that are kept now. */
  get bytes(): number {
    return this.#bytes
  }

  /** How often there was no room. */
  get refused(): number {
    return this.#refused
  }

  /** Charges `bytes` if there is room for them, and says whether there was. */
  grow(bytes: number): boolean {
    // One that a reload made and did not need is never known.
    if (!this.#isClosed) this.#budget?.accounts.add(this)
    if (this.#isClosed || this.#budget?.tryKeep(bytes) === false) {
      this.#refused++
      return false
    }
    this.#bytes += bytes
    return true
  }

  /** Gives `bytes` back. */
  shrink(bytes: number): void {
    if (this.#isClosed) return
    this.#bytes -= bytes
    this.#budget?.letGo(bytes)
  }

  /** Gives everything back; from here on there is no room. */
  close(): void {
    if (this.#isClosed) return
    this.shrink(this.#bytes)
    this.#isClosed = true
    this.#budget?.accounts.delete(this)
  }
}

/** What a keeper holds, and how often it found no room. */
export interface KeptState {
  readonly keeper: Keeper
  readonly bytes: number
  readonly refused: number
}

/** What is kept, by keeper: one of several pipelines, or one that a reload replaces, may have several accounts. */
export function keptState(accounts: Iterable<Account>): KeptState[] {
  const byKeeper = Map.groupBy(accounts, ({ keeper: { kind, id } }) => `${kind} ${id}`)
  return Array.from(byKeeper.values(), list => ({
    keeper: elementAt(list, 0).keeper,
    bytes: list.reduce((sum, { bytes }) => sum + bytes, 0),
    refused: list.reduce((sum, { refused }) => sum + refused, 0),
  }))
}
