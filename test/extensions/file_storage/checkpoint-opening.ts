/** Checkpoints on a simulated disk. */
import { Account } from '../../../core/account.ts'
import { silent } from '../../../core/logger.ts'
import type { StorageError } from '../../../core/storage.ts'
import { CheckpointFolder, type CheckpointFolderTerms } from '../../../extensions/file_storage/checkpoint-folder.ts'
import { SimulatedClock } from './simulated-clock.ts'
import type { SimulatedDisk } from './simulated-disk.ts'

/** Where they stand on the simulated disk. */
export const directory = '/disk'

/** A folder whose files are begun anew when they are 32 KiB long. */
export function openFolder(disk: SimulatedDisk, more: Partial<CheckpointFolderTerms> = {}): CheckpointFolder {
  return new CheckpointFolder({
    directory,
    files: disk,
    clock: new SimulatedClock(),
    log: silent,
    fsync: true,
    syncTimeout: 10_000,
    account: new Account(undefined, 'extension', 'file_storage'),
    shortest: 32 * 1024,
    onTrouble() {},
    ...more,
  })
}

/** The names of its files. */
export const namesOn = async (disk: SimulatedDisk): Promise<string[]> => (await disk.list(directory)).sort()

/** Why something was refused. */
export const refusal = (work: Promise<unknown>): Promise<StorageError> =>
  work.then(
    () => {
      throw new Error('it was taken')
    },
    (error: unknown) => error as StorageError,
  )

/** What an owner's checkpoints are in the folder of a process that starts now. */
export async function foundOn(disk: SimulatedDisk, owner = 'file_log'): Promise<Record<string, string>> {
  return textOf(await openFolder(disk).take(owner))
}

/** All values as text. */
export function textOf(checkpoints: {
  readonly keys: Iterable<string>
  get(key: string): Buffer | undefined
}): Record<string, string> {
  return Object.fromEntries(
    [...checkpoints.keys].map(key => [key, checkpoints.get(key)?.toString('latin1') ?? 'nothing']),
  )
}
