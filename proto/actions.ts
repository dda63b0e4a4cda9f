/** What attribute actions are, and where their results are written. `compileEdits` of edits.ts makes them runnable. */
import type { Pattern } from './pattern.ts'
import type { Writable } from './values.ts'

/** What an action sets: a constant, another attribute's value, or a fact about the request. */
export type Source =
  | { readonly value: Writable }
  | { readonly fromAttribute: string }
  /** `metadata.x`, `auth.x` or `client.address`. */
  | { readonly fromContext: string }

/** One attribute action. */
export type Action =
  | { readonly action: 'insert' | 'update' | 'upsert'; readonly key: string; readonly source: Source }
  | {
      readonly action: 'delete' | 'hash'
      readonly key: string | undefined
      readonly pattern: Pattern | undefined
    }
  | { readonly action: 'extract'; readonly key: string; readonly pattern: Pattern }
  | { readonly action: 'convert'; readonly key: string; readonly to: 'int' | 'double' | 'string' }

/** Answers what `fromContext` asks for. */
export type Lookup = (name: string) => string | undefined

/** Compiled actions. Holds scratch space: not to be entered again from within. */
export interface Edits {
  /** The most bytes that one message may grow by; undefined when that depends on what it holds. */
  readonly growth: number | undefined
  /** Whether the request's context is asked. */
  readonly usesContext: boolean
  /**
   * Applies the actions to the message between `start` and `end`. When that changes it, its new content stands in `out`
   * from `out.from` to `out.at`, and the answer is true; all other fields are kept, in their order.
   * @throws WireError where the bytes cannot be walked
   */
  apply(bytes: Buffer, start: number, end: number, out: Arena, lookup?: Lookup): boolean
}

/** Space that many small results are written to, one after the other. */
export class Arena {
  bytes: Buffer
  /** Where the last result starts, and where writing goes on. */
  from = 0
  at = 0
  /** Bytes of memory this made. */
  made: number

  constructor(size: number) {
    // Not from Node’s pool: a page of it would stay alive, with what others had in it, as long as this.
    this.bytes = Buffer.allocUnsafeSlow(size)
    this.made = size
  }

  /** Starts a result of at most `size` bytes. */
  begin(size: number): void {
    if (this.bytes.length - this.at < size) {
      const room = Math.max(size, Math.min(this.bytes.length, 1 << 16))
      this.bytes = Buffer.allocUnsafeSlow(room)
      this.made += room
      this.at = 0
    }
    this.from = this.at
  }

  copy(source: Buffer, start: number, end: number): void {
    this.at += source.copy(this.bytes, this.at, start, end)
  }

  /** Copies a short run, byte by byte where that is quicker than a call. */
  put(source: Uint8Array): void {
    const { bytes } = this
    let { at } = this
    for (let i = 0; i < source.length; i++) bytes[at++] = source[i]
    this.at = at
  }
}
