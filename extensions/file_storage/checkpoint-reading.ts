/** Reads a file of checkpoints, and says what of it cannot be read. */
import {
  decodeCheckpointHeader,
  decodeGroup,
  digestOf,
  firstGroup,
  groupLength,
  leastGroup,
  type CheckpointEntry,
} from './checkpoint-file.ts'
import { codeOf, type FileHandle, type FileOperations } from './files.ts'
import { blockEnd, blockSize } from './record.ts'
import { Window } from './walk.ts'

/** Bytes read at once. */
const ahead = 256 * 1024

type Take = (entries: readonly CheckpointEntry[]) => void

/** What is wrong with a file. */
export interface Flaws {
  /** Bytes that were written for sure, and cannot be read. */
  readonly damaged: number
  /** A write that was on its way left something of itself at the end. */
  readonly torn: boolean
}

/**
 * Hands what can be read to `take`, in the order in which it was written; what it is given is good until it returns.
 * Behind what is damaged, reading goes on: a position from before is read again, none at all may never be read.
 */
export async function readCheckpoints(files: FileOperations, path: string, owner: string, take: Take): Promise<Flaws> {
  const file = await files.open(path, 'read')
  try {
    const size = await files.size(file)
    const reading = new Reading(files, file, size, take)
    try {
      return await reading.all(owner)
    } catch (error) {
      // The disk has it no more, and will not have it later either.
      if (codeOf(error) !== 'EIO') throw error
      return { damaged: size - reading.at, torn: false }
    }
  } finally {
    await files.close(file)
  }
}

class Reading {
  /** Up to here it was read. */
  at = 0
  readonly #window: Window
  readonly #size: number
  readonly #take: Take

  constructor(files: FileOperations, file: FileHandle, size: number, take: Take) {
    this.#window = new Window(files, file)
    this.#size = size
    this.#take = take
  }

  async all(owner: string): Promise<Flaws> {
    const header = decodeCheckpointHeader(await this.#window.ask(0, Math.min(firstGroup, this.#size), ahead))
    if (header?.digest !== digestOf(owner)) return { damaged: Math.max(this.#size, 1), torn: false }
    this.at = firstGroup
    let [next, missing, damaged, suspect] = [0, header.entries, 0, 0]
    while (this.at < this.#size) {
      const group = await this.#group(header.nonce)
      if (group === undefined) {
        suspect += Math.min(blockSize, this.#size - this.at)
        this.at += blockSize
        continue
      }
      // Each write begins when the one before is on disk: what stands in front of a whole group was there once.
      damaged += group.number === next ? 0 : Math.max(suspect, 1)
      suspect = 0
      next = group.number + 1
      missing -= group.entries.length
      this.#take(group.entries)
      this.at += group.length
    }
    // With all that the file began with it counted, and only the last write may be torn.
    if (missing > 0) return { damaged: damaged + Math.max(suspect, 1), torn: false }
    return { damaged, torn: suspect > 0 }
  }

  async #group(nonce: Buffer): Promise<{ number: number; entries: CheckpointEntry[]; length: number } | undefined> {
    const left = this.#size - this.at
    const front = await this.#window.ask(this.at, Math.min(leastGroup, left), Math.min(ahead, left))
    const length = groupLength(front, nonce)
    if (length === undefined || length > left) return undefined
    const group = decodeGroup(await this.#window.ask(this.at, length, Math.max(length, Math.min(ahead, left))))
    return group && { ...group, length: blockEnd(length) }
  }
}
