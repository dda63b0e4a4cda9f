/**
 * A disk in memory that remembers every operation, to tell what may be on it when the power goes. What a completed sync
 * covers is there; of everything else each block of 512 bytes may be there in any of the states it was in since, and each
 * change of a name may have happened or not.
 */
import { basename, dirname } from 'node:path'
import type { FileHandle, FileOperations } from '../../../extensions/file_storage/files.ts'

const sector = 512

/** Numbers that look random, the same ones for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** Files by path. */
export type Image = ReadonlyMap<string, Buffer>

type Operation =
  | { readonly kind: 'write'; readonly file: number; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly file: number; readonly size: number }
  /** All that was done to the file before `until`; with a range, only to that. */
  | { readonly kind: 'sync'; readonly file: number; readonly range?: readonly [from: number, to: number] }
  | { readonly kind: 'link'; readonly file: number; readonly path: string }
  | { readonly kind: 'rename'; readonly file: number; readonly from: string; readonly to: string }
  | { readonly kind: 'unlink'; readonly file: number; readonly path: string }
  | { readonly kind: 'syncDirectory'; readonly path: string }

/** What a test may let go wrong: called before each operation; may throw, or wait. */
export type Fault = (what: string, path: string) => Promise<void> | void

const errorOf = (code: string, what: string): Error => Object.assign(new Error(`${code}: ${what}`), { code })

/** An error as the kernel has it. */
export const diskError = errorOf

/** A disk in memory. */
export class SimulatedDisk implements FileOperations {
  readonly operations: Operation[] = []
  readonly #start: Image
  readonly #names = new Map<string, number>()
  readonly #contents = new Map<number, Buffer>()
  readonly #open = new Map<FileHandle, { readonly file: number; readonly path: string }>()
  #nextFile = 1
  #nextHandle = 1
  /** Lets operations fail. */
  fault: Fault | undefined
  freeBytes = 1 << 30

  constructor(start: Image = new Map()) {
    this.#start = start
    for (const [path, bytes] of start) {
      const file = this.#nextFile++
      this.#names.set(path, file)
      this.#contents.set(file, Buffer.from(bytes))
    }
  }

  /** What is there now: what a process that starts anew without power loss finds. */
  get image(): Image {
    return new Map([...this.#names].map(([path, file]) => [path, Buffer.from(this.#content(file))]))
  }

  /** Changes bytes behind everybody's back. */
  damage(path: string, at: number, bytes: Buffer): void {
    const file = this.#names.get(path)
    if (file !== undefined) bytes.copy(this.#content(file), at)
  }

  async open(path: string, how: 'read' | 'write' | 'durable' | 'create'): Promise<FileHandle> {
    await this.fault?.('open', path)
    let file = this.#names.get(path)
    if (how === 'create') {
      if (file !== undefined) throw errorOf('EEXIST', path)
      file = this.#nextFile++
      this.#names.set(path, file)
      this.#contents.set(file, Buffer.alloc(0))
      this.operations.push({ kind: 'link', file, path })
    }
    if (file === undefined) throw errorOf('ENOENT', path)
    const handle: FileHandle = {
      fd: this.#nextHandle++,
      close: () => this.close(handle),
      datasync: () => this.sync(handle),
    }
    this.#open.set(handle, { file, path })
    return handle
  }

  async close(handle: FileHandle): Promise<void> {
    if (!this.#open.delete(handle)) throw errorOf('EBADF', 'close')
  }

  async read(handle: FileHandle, buffers: readonly Buffer[], at: number): Promise<number> {
    const { file, path } = this.#of(handle)
    await this.fault?.('read', path)
    const content = this.#content(file)
    let total = 0
    for (const buffer of buffers) total += content.copy(buffer, 0, Math.min(at + total, content.length))
    return total
  }

  async write(handle: FileHandle, buffers: readonly Buffer[], at: number): Promise<void> {
    const { file, path } = this.#of(handle)
    const bytes = Buffer.concat(buffers)
    // It is on its way before it is done.
    this.#put(file, at, bytes)
    await this.fault?.('write', path)
  }

  async writeDurably(handle: FileHandle, buffers: readonly Buffer[], at: number): Promise<void> {
    const { file, path } = this.#of(handle)
    const bytes = Buffer.concat(buffers)
    this.#put(file, at, bytes)
    await this.fault?.('write', path)
    await this.fault?.('sync', path)
    this.operations.push({ kind: 'sync', file, range: [at, at + bytes.length] })
  }

  async truncate(handle: FileHandle, size: number): Promise<void> {
    const { file, path } = this.#of(handle)
    await this.fault?.('truncate', path)
    this.#contents.set(file, resized(this.#content(file), size))
    this.operations.push({ kind: 'truncate', file, size })
  }

  async sync(handle: FileHandle): Promise<void> {
    const { file, path } = this.#of(handle)
    const until = this.operations.length
    await this.fault?.('sync', path)
    const since = this.operations.slice(until)
    if (since.some(one => 'file' in one && one.file === file)) throw new Error('something was done to what was synced')
    this.operations.push({ kind: 'sync', file })
  }

  async syncDirectory(path: string): Promise<void> {
    await this.fault?.('syncDirectory', path)
    this.operations.push({ kind: 'syncDirectory', path })
  }

  async size(handle: FileHandle): Promise<number> {
    return this.#content(this.#of(handle).file).length
  }

  async list(path: string): Promise<string[]> {
    return [...this.#names.keys()].filter(one => dirname(one) === path).map(one => basename(one))
  }

  async rename(from: string, to: string): Promise<void> {
    await this.fault?.('rename', from)
    const file = this.#names.get(from)
    if (file === undefined) throw errorOf('ENOENT', from)
    this.#names.delete(from)
    this.#names.set(to, file)
    this.operations.push({ kind: 'rename', file, from, to })
  }

  async unlink(path: string): Promise<void> {
    await this.fault?.('unlink', path)
    const file = this.#names.get(path)
    if (file === undefined) throw errorOf('ENOENT', path)
    this.#names.delete(path)
    this.operations.push({ kind: 'unlink', file, path })
  }

  async free(): Promise<number> {
    return this.freeBytes
  }

  /** What is left when the power goes before the first operation. */
  get remains(): Remains {
    return new Remains(this.#start)
  }

  #of(handle: FileHandle): { readonly file: number; readonly path: string } {
    const open = this.#open.get(handle)
    if (open === undefined) throw errorOf('EBADF', String(handle.fd))
    return open
  }

  #content(file: number): Buffer {
    return this.#contents.get(file) ?? Buffer.alloc(0)
  }

  #put(file: number, at: number, bytes: Buffer): void {
    const before = this.#content(file)
    const after = resized(before, Math.max(before.length, at + bytes.length))
    bytes.copy(after, at)
    this.#contents.set(file, after)
    this.operations.push({ kind: 'write', file, at, bytes })
  }
}

function resized(content: Buffer, size: number): Buffer {
  if (content.length >= size) return content.subarray(0, size)
  const out = Buffer.alloc(size)
  content.copy(out)
  return out
}

/** What is left of a disk when the power goes, after the operations that were applied. */
export class Remains {
  readonly #files = new Map<number, Survivor>()
  readonly #names = new Map<string, number>()
  /** Changes of names that no sync covers. */
  #changes: ((names: Map<string, number>) => void)[] = []

  constructor(start: Image) {
    for (const [path, bytes] of start) {
      const file = this.#names.size + 1
      this.#names.set(path, file)
      this.#files.set(file, new Survivor(bytes))
    }
  }

  apply(operation: Operation): void {
    switch (operation.kind) {
      case 'link': {
        this.#files.set(operation.file, new Survivor(Buffer.alloc(0)))
        this.#changes.push(names => names.set(operation.path, operation.file))
        break
      }
      case 'rename': {
        this.#changes.push(names => {
          if (names.get(operation.from) === operation.file) names.delete(operation.from)
          names.set(operation.to, operation.file)
        })
        break
      }
      case 'unlink': {
        this.#changes.push(names => {
          if (names.get(operation.path) === operation.file) names.delete(operation.path)
        })
        break
      }
      case 'syncDirectory': {
        for (const change of this.#changes) change(this.#names)
        this.#changes = []
        break
      }
      case 'write': {
        this.#files.get(operation.file)?.write(operation.at, operation.bytes)
        break
      }
      case 'truncate': {
        this.#files.get(operation.file)?.truncate(operation.size)
        break
      }
      case 'sync': {
        this.#files.get(operation.file)?.sync(operation.range)
        break
      }
    }
  }

  /** What may be on the disk; all of it, when only the process ends. */
  image(random: () => number, isKill = false): Image {
    const names = new Map(this.#names)
    for (const change of this.#changes) if (isKill || random() < 0.5) change(names)
    // All or nothing of what no sync covers is as likely as something between.
    const mood = random()
    const chance = mood < 0.15 ? 0 : mood > 0.85 ? 1 : 0.5
    return new Map(
      [...names].map(([path, file]) => [path, this.#files.get(file)?.image(random, chance, isKill) ?? Buffer.alloc(0)]),
    )
  }
}

/** One file: what of it is on the disk for sure, and what may be. */
class Survivor {
  #sure: Buffer
  #sureSize: number
  /** The file is at least this long. */
  #needed: number
  /** Later states of each sector, and of the size. */
  readonly #states = new Map<number, Buffer[]>()
  #sizes: number[] = []
  #now: Buffer

  constructor(bytes: Buffer) {
    this.#sure = Buffer.from(bytes)
    this.#sureSize = bytes.length
    this.#needed = bytes.length
    this.#now = Buffer.from(bytes)
  }

  write(at: number, bytes: Buffer): void {
    const end = at + bytes.length
    if (end > this.#now.length) {
      this.#now = resized(this.#now, end)
      this.#sizes.push(end)
    }
    bytes.copy(this.#now, at)
    for (let i = Math.floor(at / sector); i * sector < end; i++) {
      const states = this.#states.get(i)
      const state = Buffer.from(this.#now.subarray(i * sector, (i + 1) * sector))
      if (states === undefined) this.#states.set(i, [state])
      else states.push(state)
    }
  }

  truncate(size: number): void {
    this.#now = Buffer.from(resized(this.#now, size))
    this.#sizes.push(size)
    this.#needed = Math.min(this.#needed, size)
  }

  sync(range: readonly [number, number] | undefined): void {
    const [from, to] = range ?? [0, Infinity]
    for (const [i, states] of this.#states) {
      if (i * sector >= to || (i + 1) * sector <= from) continue
      this.#keep(i, states[states.length - 1])
      this.#states.delete(i)
    }
    // A size that is needed to read back what was synced is there too.
    if (range === undefined) {
      this.#sureSize = this.#now.length
      this.#needed = this.#now.length
      this.#sizes = []
    } else {
      this.#sureSize = Math.max(this.#sureSize, to)
      this.#needed = Math.max(this.#needed, to)
    }
  }

  #keep(i: number, state: Buffer): void {
    this.#sure = resized(this.#sure, Math.max(this.#sure.length, i * sector + state.length))
    state.copy(this.#sure, i * sector)
  }

  image(random: () => number, chance: number, isKill: boolean): Buffer {
    if (isKill) return Buffer.from(this.#now)
    const sizes = [this.#sureSize, ...this.#sizes.filter(size => size >= this.#needed)]
    const size = sizes[Math.floor(random() * sizes.length)]
    const out = Buffer.from(resized(this.#sure, Math.max(this.#sure.length, size)))
    for (const [i, states] of this.#states) {
      if (random() >= chance) continue
      const state = states[Math.floor(random() * states.length)]
      state.copy(out, i * sector)
    }
    return out.subarray(0, size)
  }
}
