/**
 * The checkpoints of one owner, in a file of their own beside the logs: a record in the log of the queues would hold back
 * its segment for as long as nothing newer is put. Changes are added to the end of the file, which costs one write however
 * many keys there are; when it has become much longer than what is in it, or a write to it failed, all is written to a new
 * file, which takes its name only when it is whole. Of the files that may be there after a crash, the newest counts.
 */
import { join } from 'node:path'
import type { Account } from '../../core/account.ts'
import { messageOf } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import { type Checkpoints, largestCheckpoint, longestCheckpointKey, StorageError } from '../../core/storage.ts'
import {
  damagedName,
  encodeCheckpointHeader,
  freshHeader,
  generationOf,
  GroupBuilder,
  nameOf,
  stemOf,
  unfinished,
} from './checkpoint-file.ts'
import { type Flaws, readCheckpoints } from './checkpoint-reading.ts'
import { CheckpointTable } from './checkpoint-table.ts'
import type { LogClock } from './clock.ts'
import { codeOf, type FileHandle, type FileOperations, isFull } from './files.ts'
import { blockSize } from './record.ts'
import { type Job, Jobs } from './jobs.ts'
import { Retry } from './retry.ts'
import { NoRoom } from './shelf.ts'
import { watched } from './watched.ts'

/** Of what is in them when they are begun, files become so many times as long before the next is begun. */
const growth = 4
/** Files of so many bytes are not worth a new one. */
const leastLimit = 1024 * 1024

export interface CheckpointTerms {
  readonly directory: string
  readonly owner: string
  readonly files: FileOperations
  readonly clock: LogClock
  readonly log: Logger
  readonly fsync: boolean
  /** Milliseconds after which a write or sync counts as hanging. */
  readonly syncTimeout: number
  readonly account: Account
  /** Length of a file from which on a new one may be begun. */
  readonly shortest?: number
  onTrouble(trouble: StorageError | undefined): void
  /** Nobody uses it any more. */
  onClose(): void
}

/** The file that is written to. */
interface OpenFile {
  readonly handle: FileHandle
  readonly nonce: Buffer
  /** Where the next group stands, and its number. */
  end: number
  number: number
  /** When it is as long as this, a new one is begun. */
  readonly limit: number
}

/** See above. */
export class OwnedCheckpoints implements Checkpoints {
  trouble: StorageError | undefined
  /** Resolves when nothing more is written; at once when the disk hangs. */
  readonly ended: Promise<void>
  readonly #terms: CheckpointTerms
  readonly #files: FileOperations
  readonly #stem: string
  readonly #table: CheckpointTable
  readonly #retry: Retry
  readonly #end = Promise.withResolvers<void>()
  #file: OpenFile | undefined
  #generation = 0
  /** Names of files that are needed no more once there is a newer one, and what is to become of them. */
  readonly #old = new Map<string, 'remove' | 'keep aside'>()
  readonly #jobs = new Jobs({
    next: () => this.#nextJob(),
    isHung: () => this.#isHung,
    fail: error => this.#fail(error),
    idle: () => {
      if (this.#isClosed) void this.#finish()
    },
  })
  #isHung = false
  #isClosed = false

  private constructor(terms: CheckpointTerms) {
    this.#terms = terms
    this.#files = watched(terms.files, terms.clock, terms.syncTimeout, what => this.#hangs(what))
    this.#stem = stemOf(terms.owner)
    this.#table = new CheckpointTable(terms.owner, terms.account)
    this.#retry = new Retry(terms.clock, () => this.#jobs.wake())
    this.ended = this.#end.promise
  }

  /** Reads what there is. @throws StorageError when the disk does not let it, or there is no memory for it */
  static async open(terms: CheckpointTerms): Promise<OwnedCheckpoints> {
    const checkpoints = new OwnedCheckpoints(terms)
    try {
      await checkpoints.#open()
      return checkpoints
    } catch (error) {
      checkpoints.#table.clear()
      if (error instanceof StorageError) throw error
      const message = `the checkpoints of \`${terms.owner}\` in \`${terms.directory}\` cannot be read: ${messageOf(error)}`
      throw new StorageError('sick', message, { cause: error })
    }
  }

  async #open(): Promise<void> {
    const { directory, files, owner } = this.#terms
    let newest = 0
    for (const name of await files.list(directory)) {
      const found = generationOf(name, this.#stem)
      if (found === undefined) continue
      this.#old.set(name, 'remove')
      this.#generation = Math.max(this.#generation, found.generation)
      if (found.isFinished) newest = Math.max(newest, found.generation)
    }
    if (newest === 0) return
    const name = nameOf(this.#stem, newest)
    const flaws = await readCheckpoints(files, join(directory, name), owner, entries => {
      for (const { key, value } of entries) this.#table.load(key, value)
    })
    this.#tell(name, flaws)
    if (flaws.damaged === 0) return
    this.#old.set(name, 'keep aside')
    // A file that was read is never added to: the first who puts something begins a new one. Here that is done at once.
    this.#retry.now()
  }

  #tell(name: string, { damaged, torn }: Flaws): void {
    const { directory, owner, log } = this.#terms
    const path = join(directory, name)
    if (torn) log.warn({ path, owner }, 'a checkpoint that was being written was cut off; the one before it counts')
    if (damaged === 0) return
    const kept = join(directory, damagedName(this.#stem))
    const message =
      'checkpoints cannot be read: what they are of is read from an earlier one again, or else from `start_at`'
    log.error({ path, owner, bytes: damaged, kept_as: kept }, message)
  }

  get keys(): Iterable<string> {
    return this.#table.keys()
  }

  get(key: string): Buffer | undefined {
    return this.#table.get(key)
  }

  async put(key: string, value: Buffer): Promise<void> {
    if (Buffer.byteLength(key) > longestCheckpointKey || !key.isWellFormed()) {
      throw new RangeError(`the key of a checkpoint is text of at most ${longestCheckpointKey} bytes`)
    }
    if (value.length > largestCheckpoint) {
      throw new RangeError(`a checkpoint of ${value.length} bytes is too large; ${largestCheckpoint} at most`)
    }
    if (this.#isClosed) throw new StorageError('closed', `the checkpoints of \`${this.#terms.owner}\` are closed`)
    if (this.trouble !== undefined) throw new StorageError(this.trouble.kind, this.trouble.message)
    const written = this.#table.put(key, value)
    this.#jobs.wake()
    await written
  }

  delete(key: string): void {
    if (this.#isClosed) return
    this.#table.delete(key)
    this.#jobs.wake()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#terms.onClose()
    this.#retry.cancel()
    if (this.#isHung) this.#end.resolve()
    else this.#jobs.wake()
  }

  #nextJob(): Job | undefined {
    if (this.#retry.isDue && !this.#isClosed) return () => this.#try()
    return this.trouble === undefined && this.#table.isWaiting ? () => this.#write() : undefined
  }

  /** Finds out whether the trouble has gone, if there was any. */
  async #try(): Promise<void> {
    this.#retry.isDue = false
    await this.#begin()
    this.#retry.reset()
    if (this.trouble === undefined || this.#isHung) return
    this.trouble = undefined
    this.#terms.onTrouble(undefined)
  }

  /** Adds what waits to the file. */
  async #write(): Promise<void> {
    const file = this.#file === undefined || this.#file.end >= this.#file.limit ? await this.#begin() : this.#file
    const group = new GroupBuilder()
    this.#table.fly(entry => {
      group.add(entry)
      return group.isOpen
    })
    const bytes = group.encode(file.nonce, file.number)
    if (this.#terms.fsync) await this.#files.writeDurably(file.handle, [bytes], file.end)
    else await this.#files.write(file.handle, [bytes], file.end)
    file.end += bytes.length
    file.number++
    this.#table.landed()
  }

  /** Writes all that is on disk to a new file, and goes on there. */
  async #begin(): Promise<OpenFile> {
    await this.#release()
    const name = nameOf(this.#stem, ++this.#generation)
    try {
      this.#file = await this.#create(name)
    } catch (error) {
      // Nothing was added to it, so that the file before has all that this one has.
      for (const one of [unfinished(name), name]) await this.#remove(one)
      throw error
    }
    for (const [one, fate] of this.#old) await (fate === 'remove' ? this.#remove(one) : this.#keepAside(one))
    this.#old.set(name, 'remove')
    return this.#file
  }

  /** The file has its name when it is whole. */
  async #create(name: string): Promise<OpenFile> {
    const { directory, fsync, shortest = leastLimit } = this.#terms
    const path = join(directory, name)
    const fresh = join(directory, unfinished(name))
    const { nonce, end, number } = await this.#writeAll(fresh)
    await this.#files.rename(fresh, path)
    if (fsync) await this.#files.syncDirectory(directory)
    const handle = await this.#files.open(path, 'durable')
    return { handle, nonce, end, number, limit: Math.max(shortest, growth * end) }
  }

  async #writeAll(path: string): Promise<{ nonce: Buffer; end: number; number: number }> {
    const header = freshHeader(this.#terms.owner, this.#table.size)
    const { nonce } = header
    const handle = await this.#files.open(path, 'create')
    try {
      let end = 0
      let number = 0
      const write = async (bytes: Buffer): Promise<void> => {
        await this.#demandRoom(bytes.length)
        await this.#files.write(handle, [bytes], end)
        end += bytes.length
      }
      await write(encodeCheckpointHeader(header))
      let group = new GroupBuilder()
      for (const entry of this.#table.kept()) {
        group.add(entry)
        if (group.isOpen) continue
        await write(group.encode(nonce, number++))
        group = new GroupBuilder()
      }
      if (!group.isEmpty) await write(group.encode(nonce, number++))
      if (this.#terms.fsync) await this.#files.sync(handle)
      return { nonce, end, number }
    } finally {
      await this.#files.close(handle)
    }
  }

  /** Asked first, so that a disk that is nearly full is not filled to the last byte only to find out. */
  async #demandRoom(size: number): Promise<void> {
    const { directory } = this.#terms
    const free = await this.#files.free(directory)
    if (free >= size + blockSize) return
    throw new NoRoom(false, `the disk of \`${directory}\` has ${free} bytes left of ${size + blockSize} needed`)
  }

  /** Removes a file that is needed no more. One that cannot be removed now does no harm: a newer one counts. */
  async #remove(name: string): Promise<void> {
    try {
      await this.#files.unlink(join(this.#terms.directory, name))
      this.#old.delete(name)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') this.#old.delete(name)
      else this.#old.set(name, 'remove')
    }
  }

  async #keepAside(name: string): Promise<void> {
    const { directory } = this.#terms
    const kept = join(directory, damagedName(this.#stem))
    await this.#files.rename(join(directory, name), kept).then(
      () => this.#old.delete(name),
      () => {},
    )
  }

  /** What a failed write left behind is not known: nothing is written before a new file is begun. */
  #fail(error: unknown): void {
    const { owner, directory } = this.#terms
    const kind = error instanceof NoRoom || isFull(error) ? 'full' : 'sick'
    const message = `writing the checkpoints of \`${owner}\` to \`${directory}\` failed: ${messageOf(error)}`
    this.#refuse(new StorageError(kind, message, { cause: error }))
    if (this.#isHung) {
      this.#isHung = false
      this.#retry.now()
    } else if (!this.#isClosed) this.#retry.later()
  }

  #refuse(trouble: StorageError): void {
    const { kind, message, cause } = trouble
    this.trouble = trouble
    this.#terms.onTrouble(trouble)
    this.#table.refuse(maybeStored => new StorageError(kind, message, { maybeStored, cause }))
  }

  /** An operation does not return: nobody is to wait for it. */
  #hangs(what: string): void {
    this.#isHung = true
    const { owner, directory } = this.#terms
    this.#refuse(
      new StorageError('sick', `${what} for the checkpoints of \`${owner}\` in \`${directory}\` does not return`),
    )
    if (this.#isClosed) this.#end.resolve()
  }

  async #release(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    if (file !== undefined) await this.#files.close(file.handle).catch(() => {})
  }

  async #finish(): Promise<void> {
    await this.#release()
    this.#table.clear()
    if (this.trouble !== undefined) this.#terms.onTrouble(undefined)
    this.#end.resolve()
  }
}
