/** Memory that is kept from one batch to the next, asked for before it is made. */

/** Where it is asked for. */
export interface Room {
  /** Takes `bytes`, or says that there is no room for them. */
  grow(bytes: number): boolean
  /** Gives `bytes` back. */
  shrink(bytes: number): void
}

/** Room without an end. */
export const endless: Room = { grow: () => true, shrink() {} }

/** Bytes that a text takes at most, and what points to it. */
export const textCost = (text: string): number => 2 * text.length + 64

/** What one part takes of a room, so that all of it can be given back at once. */
export class Share implements Room {
  readonly #room: Room
  #taken = 0
  /** There was no room for something since all was given back. */
  isShort = false

  constructor(room: Room) {
    this.#room = room
  }

  /** Takes `bytes`, or says that there is no room for them. */
  grow(bytes: number): boolean {
    if (!this.#room.grow(bytes)) {
      this.isShort = true
      return false
    }
    this.#taken += bytes
    return true
  }

  /** Gives `bytes` back. */
  shrink(bytes: number): void {
    this.#taken -= bytes
    this.#room.shrink(bytes)
  }

  /** Gives all of it back. */
  clear(): void {
    this.shrink(this.#taken)
    this.isShort = false
  }
}
