/** The table of headers that a connection has seen (RFC 7541, 2.3.2 and 4): bounded in bytes, the oldest go first. */
import { headerTableSize } from './protocol.ts'
import { staticTable } from './static-table.ts'

/** Bytes that a header counts beside its text. */
export const headerOverhead = 32

/** Both tables, of one direction of one connection. */
export class HeaderTable {
  /** Grows with each header that is remembered or forgotten: what was read by number may be read otherwise from then on. */
  version = 0
  /** Oldest first; those before `#from` are forgotten. */
  #names: string[] = []
  #values: string[] = []
  #from = 0
  #size = 0
  #limit = headerTableSize

  /** How many headers have a number. */
  get length(): number {
    return staticTable.length + this.#names.length - this.#from
  }

  /** The name of header `index`, which must be one of 1 to `length`. */
  name(index: number): string {
    return index <= staticTable.length ? staticTable[index - 1][0] : this.#names[this.#at(index)]
  }

  /** The value of header `index`, likewise. */
  value(index: number): string {
    return index <= staticTable.length ? staticTable[index - 1][1] : this.#values[this.#at(index)]
  }

  /** Remembers a header. One that is larger than the table empties it. */
  add(name: string, value: string): void {
    this.version++
    const size = name.length + value.length + headerOverhead
    this.#evict(this.#limit - size)
    if (size > this.#limit) return
    this.#names.push(name)
    this.#values.push(value)
    this.#size += size
  }

  /** Sets the size in bytes, which the caller has checked. */
  resize(limit: number): void {
    this.version++
    this.#limit = limit
    this.#evict(limit)
  }

  #at(index: number): number {
    return this.#names.length - (index - staticTable.length)
  }

  /** Forgets the oldest until no more than `limit` bytes are left. */
  #evict(limit: number): void {
    const names = this.#names
    const values = this.#values
    while (this.#size > limit && this.#from < names.length) {
      const at = this.#from++
      this.#size -= names[at].length + values[at].length + headerOverhead
      names[at] = values[at] = ''
    }
    if (this.#from < 256 && this.#from < names.length) return
    names.splice(0, this.#from)
    values.splice(0, this.#from)
    this.#from = 0
  }
}
