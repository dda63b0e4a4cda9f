/**
 * Memory for request bodies, used again once nobody reads it. Each buffer of its own costs the garbage collector more than
 * all the rest of a request: V8 counts the bytes outside its heap and collects after every few dozen megabytes of them.
 */
const kibibyte = 1024

/**
 * Smaller buffers are made exact and left to the garbage collector. Bodies of small requests are larger: made one by one they
 * are most of what such a request leaves behind, and stand outside the heap until V8 looks for them.
 */
const least = kibibyte
/** Larger ones are rare. */
const most = 8 * kibibyte * kibibyte
/** Milliseconds after which memory that was not needed meanwhile is let go. */
const trimInterval = 5_000

/** Buffers of size classes an eighth apart. Whoever takes one gives it back, or leaves it to the garbage collector. */
export class BufferPool {
  readonly #free = new Map<number, ArrayBuffer[]>()
  readonly #limit: number
  #idle = 0
  /** The least that lay idle since the last trim: what nobody needed. */
  #unneeded = 0
  #timer: NodeJS.Timeout | undefined

  /** `limit`: bytes that may lie idle. */
  constructor(limit = 20 * kibibyte * kibibyte) {
    this.#limit = limit
  }

  /** Bytes that lie idle. */
  get idle(): number {
    return this.#idle
  }

  /** A buffer of exactly `size` bytes, with whatever was in it before. */
  take(size: number): Buffer {
    if (size < least || size > most) return Buffer.allocUnsafeSlow(size)
    const room = roomFor(size)
    const memory = this.#free.get(room)?.pop()
    if (memory === undefined) return Buffer.from(new ArrayBuffer(room), 0, size)
    this.#idle -= room
    if (this.#idle < this.#unneeded) this.#unneeded = this.#idle
    return Buffer.from(memory, 0, size)
  }

  /** Bytes of memory behind a buffer of `size` bytes. */
  static cost(size: number): number {
    return size < least || size > most ? size : roomFor(size)
  }

  /** Takes `buffer` back, which came from `take` and which nobody reads any more. */
  give(buffer: Buffer): void {
    const { buffer: memory, length } = buffer
    const room = memory.byteLength
    if (!(memory instanceof ArrayBuffer)) return
    // Of Node's own pool, which hands out small pieces of one memory, none fills its room.
    if (length < least || room - length > length >> 2) return
    // What is too large to be kept, or of no class, would stand until the next full collection.
    if (length > most || roomFor(length) !== room) return length < largeRead ? undefined : letGo(memory)
    if (this.#idle + room > this.#limit) {
      letGo(memory)
      return
    }
    const free = this.#free.get(room)
    if (free === undefined) this.#free.set(room, [memory])
    else free.push(memory)
    this.#idle += room
    if (this.#timer === undefined) {
      this.#unneeded = this.#idle
      this.#timer = setInterval(() => this.#trim(), trimInterval).unref()
    }
  }

  /** Lets go of what lay idle since the last time. */
  #trim(): void {
    for (const [room, free] of this.#free) {
      for (let memory = next(free, this.#unneeded >= room); memory !== undefined;) {
        letGo(memory)
        this.#idle -= room
        this.#unneeded -= room
        memory = next(free, this.#unneeded >= room)
      }
      if (free.length === 0) this.#free.delete(room)
    }
    this.#unneeded = this.#idle
    if (this.#idle > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** One of `free`, if it is to go. */
const next = (free: ArrayBuffer[], goes: boolean): ArrayBuffer | undefined => (goes ? free.pop() : undefined)

/** Frees memory at once that nobody may read any more; left to the garbage collector it would stand until the next full collection. */
export function letGo(memory: ArrayBuffer): void {
  memory.transfer(0)
}

/** Smaller reads are left to the garbage collector. */
const largeRead = 16 * kibibyte

/**
 * Frees what one read of a socket brought, where it is large and has its memory for itself, and nobody reads it any more:
 * what a busy sender brings in a second would stand until V8 looks for it.
 */
export function freeRead({ length, buffer }: Buffer): void {
  if (length >= largeRead && buffer.byteLength === length && buffer instanceof ArrayBuffer) letGo(buffer)
}

/** Sizes are rounded up to a multiple of an eighth of the power of two below. */
function roomFor(size: number): number {
  const step = 2 ** (31 - Math.clz32(size - 1) - 3)
  return Math.ceil(size / step) * step
}
