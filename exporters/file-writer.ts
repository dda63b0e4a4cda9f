/** One file that is written to at its end, in the order of the calls. */
import { type FileHandle, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Cancellation } from '../core/cancellation.ts'
import type { Clock, Timer } from '../core/clock.ts'
import { DeliveryError } from '../core/errors.ts'
import { openToAppend, refuseLinkedFolders } from '../core/own-file.ts'
import { removeOld, type Rotation, setAside } from './file-rotation.ts'

/** How files are written. */
export interface FileSettings {
  readonly clock: Clock
  /** Permissions of folders that are missing; undefined: they are not made. */
  readonly folders: number | undefined
  /** Permissions of files that are missing. */
  readonly files: number
  /** Below this folder no folder may be a link: their names come from data. */
  readonly base?: string | undefined
  readonly rotation: Rotation | undefined
  /** Milliseconds after which what was written is forced to the disk. */
  readonly flushInterval: number
  /** Hears what failed besides writing: forcing to the disk, removing old files. */
  onTrouble(what: string, error: unknown): void
}

/** What is written as one: all of it or nothing. */
type Record = readonly Uint8Array[]

interface Waiting {
  readonly record: Record | Promise<Record>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Bytes that are written at once when many wait. */
const largestWrite = 1 << 20

/** Appends records to a file. What fails leaves the file as it was; the file is opened again for the next record. */
export class FileWriter {
  readonly path: string
  readonly #settings: FileSettings
  readonly #waiting: Waiting[] = []
  /** Empties the file when it is first opened. */
  #truncate: boolean
  #handle: FileHandle | undefined
  /** Bytes of whole records in the file. */
  #size = 0
  /** A failed write may have left a part of a record behind, from this byte on. */
  #torn: number | undefined
  #running: Promise<void> | undefined
  #flush: Timer | undefined
  #closed = false

  constructor(path: string, truncate: boolean, settings: FileSettings) {
    this.path = path
    this.#truncate = truncate
    this.#settings = settings
  }

  /** Writes a record after those of earlier calls, and resolves when the system has it. */
  append(record: Record | Promise<Record>): Promise<void> {
    // It is heard when its turn comes.
    if (record instanceof Promise) record.catch(() => undefined)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ record, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Opens the file, if it is not; throws what keeps it from being opened. */
  async prepare(): Promise<void> {
    await this.append([])
  }

  /** Writes what waits, forces it to the disk, and closes the file. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
    this.#flush?.cancel()
    const handle = this.#handle
    this.#handle = undefined
    if (handle === undefined) return
    if (this.#flush !== undefined) await this.#force(handle)
    await handle.close().catch((error: unknown) => this.#settings.onTrouble('closing', error))
  }

  async #run(): Promise<void> {
    // The caller sets `#running` first.
    await Promise.resolve()
    while (this.#waiting.length > 0) await this.#writeNext()
    this.#running = undefined
  }

  /** Writes the first that waits, and with it those after it whose bytes are there. */
  async #writeNext(): Promise<void> {
    const taken: Waiting[] = []
    const parts: Uint8Array[] = []
    let size = 0
    while (size < largestWrite) {
      const [next] = this.#waiting
      if (next === undefined) break
      if (next.record instanceof Promise && taken.length > 0) break
      this.#waiting.shift()
      try {
        const record = next.record instanceof Promise ? await next.record : next.record
        for (const part of record) {
          parts.push(part)
          size += part.length
        }
        taken.push(next)
      } catch (error) {
        next.reject(error)
      }
      // A file that rotates is asked about each record.
      if (this.#settings.rotation !== undefined) break
    }
    if (taken.length === 0) return
    try {
      await this.#write(parts, size)
      for (const { resolve } of taken) resolve()
    } catch (error) {
      for (const { reject } of taken) reject(error)
    }
  }

  async #write(parts: readonly Uint8Array[], size: number): Promise<void> {
    const { rotation } = this.#settings
    let handle = (this.#handle ??= await this.#open())
    if (rotation !== undefined && this.#size > 0 && this.#size + size > rotation.maxBytes) {
      handle = this.#handle = await this.#rotate(handle, rotation)
    }
    if (size === 0) return
    try {
      await writeAll(handle, parts, size)
    } catch (error) {
      await this.#recover(handle)
      throw error
    }
    this.#size += size
    if (this.#closed || this.#flush !== undefined) return
    this.#flush = this.#settings.clock.after(this.#settings.flushInterval, async () => {
      this.#flush = undefined
      if (this.#handle !== undefined) await this.#force(this.#handle)
    })
  }

  async #open(): Promise<FileHandle> {
    const { folders, files, base, rotation } = this.#settings
    if (folders !== undefined) await mkdir(dirname(this.path), { recursive: true, mode: folders })
    if (base !== undefined) await refuseLinkedFolders(base, this.path)
    const handle = await openToAppend(this.path, files, this.#truncate)
    try {
      const { size } = await handle.stat()
      this.#size = size
      if (this.#torn !== undefined && size > this.#torn) {
        await handle.truncate(this.#torn)
        this.#size = this.#torn
      }
    } catch (error) {
      await handle.close().catch(() => undefined)
      throw error
    }
    this.#torn = undefined
    this.#truncate = false
    if (rotation !== undefined) this.#removeOld(rotation)
    return handle
  }

  async #rotate(handle: FileHandle, rotation: Rotation): Promise<FileHandle> {
    await setAside(this.path, rotation, this.#settings.clock.wall())
    // From here on the file is another one, whatever fails.
    this.#handle = undefined
    await this.#force(handle)
    await handle.close().catch((error: unknown) => this.#settings.onTrouble('closing', error))
    return this.#open()
  }

  #removeOld(rotation: Rotation): void {
    const now = this.#settings.clock.wall()
    removeOld(this.path, rotation, now).catch((error: unknown) => this.#settings.onTrouble('removing old files', error))
  }

  /** Takes back what a failed write left. The file is opened again next time: it may have been taken away. */
  async #recover(handle: FileHandle): Promise<void> {
    this.#torn = this.#size
    this.#handle = undefined
    const taken = await handle.truncate(this.#size).then(
      () => true,
      () => false,
    )
    if (taken) this.#torn = undefined
    await handle.close().catch(() => undefined)
  }

  async #force(handle: FileHandle): Promise<void> {
    await handle.datasync().catch((error: unknown) => this.#settings.onTrouble('forcing to the disk', error))
  }
}

/** Writes all parts; the system may take less than it is given. */
async function writeAll(handle: FileHandle, parts: readonly Uint8Array[], size: number): Promise<void> {
  const { bytesWritten } = await handle.writev(parts)
  if (bytesWritten === size) return
  const rest = Buffer.concat(parts).subarray(bytesWritten)
  for (let at = 0; at < rest.length;) {
    const { bytesWritten } = await handle.write(rest, at)
    // Nothing and no error: there is no room.
    if (bytesWritten === 0) throw new Error('the system takes no more')
    at += bytesWritten
  }
}

/** The result of `work`, or a retry when it is cancelled before: a disk may take for ever. */
export function ended<T>(work: Promise<T>, cancellation: Cancellation): Promise<T> {
  return new Promise((resolve, reject) => {
    const watcher = {
      cancelled(): void {
        const message = 'the file did not take the data in time'
        reject(new DeliveryError('DELIVERY_TIMEOUT', 'retry', message, { maybeTaken: true }))
      },
    }
    if (cancellation.isCancelled) watcher.cancelled()
    else cancellation.watch(watcher)
    work.then(resolve, reject).finally(() => cancellation.unwatch(watcher))
  })
}

/** The length of a record, in the four bytes that stand before it. */
export function lengthOf(body: Buffer): Buffer {
  const length = Buffer.allocUnsafe(4)
  length.writeUInt32BE(body.length)
  return length
}
