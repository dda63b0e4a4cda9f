import type { Account } from './account.ts'

/**
 * What a component knows besides its data (series, streams), with the account that is charged for it. After a reload the
 * next instance has it; until the one before has stopped, both use it.
 */
export class Kept<T> {
  readonly known: T
  readonly account: Account
  #owner: object

  constructor(known: T, account: Account, owner: object) {
    this.known = known
    this.account = account
    this.#owner = owner
  }

  /** `owner` answers for it from now on. */
  handTo(owner: object): void {
    this.#owner = owner
  }

  /** `owner` is done: where nobody else has it by now it is let go of. */
  release(owner: object): void {
    if (this.#owner === owner) this.account.close()
  }
}
