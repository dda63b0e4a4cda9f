/** Where memory is paid for before it is made; core/budget.ts is one. */
export interface Purse {
  /** Pays for `bytes` if there is room for them, and says whether there was. */
  tryCharge(bytes: number): boolean
  /** Gives `bytes` back. */
  release(bytes: number): void
}

/** What the bytes ask for cannot be paid now: to be sent again later. */
export class NoRoomError extends Error {
  override name = 'NoRoomError'

  constructor() {
    super('the memory budget is used up; retry later')
  }
}
