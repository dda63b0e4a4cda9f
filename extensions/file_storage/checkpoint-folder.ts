/** The folder in which the checkpoints of all owners stand. */
import { type Checkpoints, StorageError } from '../../core/storage.ts'
import { type CheckpointTerms, OwnedCheckpoints } from './checkpoints.ts'

/** What the checkpoints of all owners have in common. */
export interface CheckpointFolderTerms extends Omit<CheckpointTerms, 'owner' | 'onTrouble' | 'onClose'> {
  onTrouble(owner: string, trouble: StorageError | undefined): void
}

/** Each owner has one user at a time. */
export class CheckpointFolder {
  readonly #terms: CheckpointFolderTerms
  /** By owner, from the moment at which somebody asks until nobody uses them any more. */
  readonly #taken = new Map<string, OwnedCheckpoints | undefined>()
  /** What users who have left still write. */
  readonly #leaving = new Map<string, Promise<void>>()
  #isClosed = false

  constructor(terms: CheckpointFolderTerms) {
    this.#terms = terms
  }

  /** See Storage. */
  async take(owner: string): Promise<Checkpoints> {
    this.#demandOpen()
    if (this.#taken.has(owner)) throw new StorageError('locked', `the checkpoints of \`${owner}\` are in use`)
    this.#taken.set(owner, undefined)
    try {
      await this.#leaving.get(owner)
      const checkpoints = await OwnedCheckpoints.open({
        ...this.#terms,
        owner,
        onTrouble: trouble => this.#terms.onTrouble(owner, trouble),
        onClose: () => this.#leaves(owner, checkpoints),
      })
      this.#taken.set(owner, checkpoints)
      if (this.#isClosed) checkpoints.close()
      this.#demandOpen()
      return checkpoints
    } catch (error) {
      this.#taken.delete(owner)
      throw error
    }
  }

  #demandOpen(): void {
    if (this.#isClosed) throw new StorageError('closed', 'the storage is closed')
  }

  #leaves(owner: string, { ended }: OwnedCheckpoints): void {
    this.#taken.delete(owner)
    const left = ended.then(() => {
      if (this.#leaving.get(owner) === left) this.#leaving.delete(owner)
    })
    this.#leaving.set(owner, left)
  }

  /** Writes what waits; nobody waits for a disk that hangs. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const checkpoints of this.#taken.values()) checkpoints?.close()
    await Promise.all(this.#leaving.values())
  }
}
