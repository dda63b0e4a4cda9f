/**
 * A directory as the storage of queues and checkpoints: a log of what is to be sent, one of what was put aside, and files
 * that say how far was read.
 */
import { constants } from 'node:fs'
import { access, mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Account } from '../../core/account.ts'
import { messageOf } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { Amount, Checkpoints, DurableQueue, Orphan, QueueView, Storage, StorageError } from '../../core/storage.ts'
import { CheckpointFolder } from './checkpoint-folder.ts'
import type { LogClock } from './clock.ts'
import { codeOf, type FileOperations } from './files.ts'
import { type DirectoryLock, lockDirectory } from './lock.ts'
import { Log, type LogTerms } from './log.ts'
import { trust, trustOwn, UntrustedError } from './trust.ts'

const deadLetterSegment = 4 * 1024 * 1024
/** A log of fewer segments could not give back one while it writes another. */
const leastSegments = 8

/** Where and how to store. */
export interface StorageTerms {
  /** The configured one: the logs of this process stand in a part of it. */
  readonly directory: string
  readonly worker: number
  readonly createDirectory: boolean
  /** Of directories that are made. */
  readonly mode: number
  readonly lockTimeout: number
  readonly fsync: boolean
  readonly maxSize: number
  readonly maxAge: number
  readonly segmentSize: number
  readonly syncTimeout: number
  readonly deadLetters: { readonly maxSize: number; readonly maxAge: number } | undefined
  readonly files: FileOperations
  readonly clock: LogClock
  readonly log: Logger
  readonly allocate?: (size: number) => Buffer
  /** What checkpoints in use are charged to. */
  readonly account?: Account
  onTrouble?(trouble: StorageError | undefined): void
}

/** The directory of one process. */
export const workerDirectory = (directory: string, worker: number): string => join(directory, `worker-${worker}`)

/** What the process keeps in its directory. */
interface Parts {
  readonly lock: DirectoryLock
  readonly main: Log
  readonly dead: Log | undefined
  readonly checkpoints: CheckpointFolder
  readonly account: Account
}

/** A directory as the storage of queues. */
export class FileStorage implements Storage {
  readonly maxAge: number
  readonly #parts: Parts
  readonly #main: Log
  readonly deadLetters: DurableQueue | undefined

  private constructor(maxAge: number, parts: Parts) {
    this.maxAge = maxAge
    this.#parts = parts
    this.#main = parts.main
    this.deadLetters = parts.dead?.queue('dead-letters')
  }

  /**
   * Opens the storage and reads what it holds.
   * @throws StorageError when another process has it; Error with what to do when the directory cannot be used
   */
  static async open(terms: StorageTerms): Promise<FileStorage> {
    const own = workerDirectory(terms.directory, terms.worker)
    await prepare(terms, own)
    const lock = await lockDirectory(own, terms.lockTimeout)
    try {
      const { files, clock, log, fsync, syncTimeout } = terms
      const troubles = new Map<string, StorageError>()
      const onTrouble = (where: string, trouble: StorageError | undefined): void => {
        if (trouble === undefined) troubles.delete(where)
        else troubles.set(where, trouble)
        terms.onTrouble?.(troubles.values().next().value)
      }
      const openLog = (directory: string, maxSize: number, segmentSize: number, more: Partial<LogTerms> = {}) =>
        Log.open({
          ...more,
          directory,
          files,
          clock,
          log,
          fsync,
          syncTimeout,
          isEager: directory === own,
          maxSize,
          segmentSize: Math.min(segmentSize, Math.floor(maxSize / leastSegments)),
          ...(terms.allocate && { allocate: terms.allocate }),
          onTrouble: trouble => onTrouble(directory, trouble),
        })
      const main = await openLog(own, terms.maxSize, terms.segmentSize)
      const { deadLetters } = terms
      const dead =
        deadLetters &&
        (await openLog(deadDirectory(own), deadLetters.maxSize, deadLetterSegment, {
          isRing: true,
          expiry: deadLetters.maxAge,
        }))
      const account = terms.account ?? new Account(undefined, 'extension', 'file_storage')
      const directory = checkpointDirectory(own)
      const common = { directory, files, clock, log, fsync, syncTimeout, account }
      const checkpoints = new CheckpointFolder({
        ...common,
        onTrouble: (owner, trouble) => onTrouble(join(directory, owner), trouble),
      })
      return new FileStorage(terms.maxAge, { lock, main, dead, checkpoints, account })
    } catch (error) {
      await lock.close()
      throw error
    }
  }

  get now(): number {
    return this.#main.time.now()
  }

  get room(): number {
    return this.#main.room
  }

  get roomOnDisk(): number {
    return this.#main.roomOnDisk
  }

  lookAtDisk(): Promise<void> {
    return this.#main.lookAtDisk()
  }

  get trouble(): StorageError | undefined {
    return this.#main.trouble
  }

  queue(owner: string): DurableQueue {
    return this.#main.queue(owner)
  }

  list(): readonly QueueView[] {
    return this.#main.list()
  }

  orphans(): readonly Orphan[] {
    return this.#main.orphans()
  }

  drop(owner: string): void {
    this.#main.drop(owner)
  }

  expire(owner: string, until: number): Promise<Amount> {
    return this.#main.expire(owner, until)
  }

  checkpoints(owner: string): Promise<Checkpoints> {
    return this.#parts.checkpoints.take(owner)
  }

  onRoom(listener: () => void): () => void {
    return this.#main.onRoom(listener)
  }

  /** Writes what waits and lets go of the directory. */
  async close(): Promise<void> {
    const { main, dead, checkpoints, account, lock } = this.#parts
    try {
      await checkpoints.close()
      await main.close()
      await dead?.close()
    } finally {
      account.close()
      await lock.close()
    }
  }
}

/** Where the dead letters of a process stand. */
export const deadDirectory = (own: string): string => join(own, 'dead-letters')

/** Where the checkpoints of a process stand. */
const checkpointDirectory = (own: string): string => join(own, 'checkpoints')

/** Makes the directories that this needs, and looks whether they are only ours to write to. */
async function prepare({ directory, createDirectory, mode, files, log }: StorageTerms, own: string): Promise<void> {
  const found = await stat(directory).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new Error(`\`directory\` \`${directory}\` cannot be used: ${messageOf(error)}`, { cause: error })
  })
  if (found === undefined && !createDirectory) {
    throw new Error(`\`directory\` \`${directory}\` is not there; make it, or set \`create_directory: true\``)
  }
  if (found !== undefined && !found.isDirectory()) {
    throw new Error(`\`directory\` \`${directory}\` is no directory; name another`)
  }
  const parts = [own, deadDirectory(own), checkpointDirectory(own)]
  try {
    if (found === undefined) await mkdir(directory, { recursive: true, mode })
    await trust(directory, log)
    for (const part of parts) {
      await mkdir(part, { mode }).catch((error: unknown) => {
        if (codeOf(error) !== 'EEXIST') throw error
      })
      await trustOwn(part, log)
    }
    await access(own, constants.R_OK | constants.W_OK | constants.X_OK)
    await files.syncDirectory(own)
    await files.syncDirectory(directory)
  } catch (error) {
    if (error instanceof UntrustedError) throw error
    const what = `\`directory\` \`${directory}\` cannot be written to: ${messageOf(error)}`
    throw new Error(`${what}; give this user the right to, or set another`, { cause: error })
  }
}
